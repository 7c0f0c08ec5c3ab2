package exact

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"harikube.io/conformance/setting"
)

const (
	asMetadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
	asTable    = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"
	mergePatch = "application/merge-patch+json"
	// mostDifferences of one run are shown.
	mostDifferences = 10
)

// run is a series of random requests to the same systems.
type run struct {
	*testing.T
	systems
	began time.Time
	rand  *rand.Rand
	kinds []*kind
	root  string // what the keys of the API servers begin with

	there map[*kind]map[string]bool // the paths of what exists
	// versions are the resource versions that each system gave to a change, since the last compaction.
	versions    [][]string
	differences int
	redefined   bool // whether definitions have changed under watches
	// What has been made and compared so far.
	changes, answers, watches, events int
}

func newRun(t *testing.T, all systems, kinds []*kind) *run {
	seed := setting.Number(t, "HARIKUBE_EXACT_SEED", int(rand.Uint32()))
	t.Logf("HARIKUBE_EXACT_SEED=%d", seed)
	return &run{T: t, systems: all, began: time.Now(), rand: rand.New(rand.NewPCG(uint64(seed), 0)), kinds: kinds, root: "/registry", there: map[*kind]map[string]bool{}}
}

// same asks all systems and reports answers that differ.
func (r *run) same(request request) []answer {
	r.Helper()
	answers := r.ask(r.T, request)
	texts := make([]string, len(answers))
	for i, one := range answers {
		texts[i] = normal(answer{one.code, clone(one.body)})
	}
	r.answers++
	for i := range answers[1:] {
		r.equal(r.systems[i+1].name+": "+request.String(), texts[i+1], texts[0])
	}
	return answers
}

func (r *run) equal(what, got, want string) {
	r.Helper()
	if got == want {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-150)
	difference := fmt.Sprintf("%s: they differ at %d of %d, %d:\n got …%.400s\nwant …%.400s", what, at, len(got), len(want), got[min(from, len(got)):], want[min(from, len(want)):])
	if strings.HasPrefix(what, cached+": ") {
		r.Logf("Kubernetes answers in two ways; with its watch cache, %s", difference)
		return
	}
	r.Error(difference)
	if r.differences++; r.differences == mostDifferences {
		r.Fatal("that is enough")
	}
}

func clone(value map[string]any) map[string]any { return parse(string(encode(value))) }

// prepare makes what the objects need.
func (r *run) prepare() {
	r.Helper()
	for _, name := range namespaces {
		r.mustCreate("/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name}})
	}
	if slices.Contains(r.kinds, widgets) {
		r.define(widgetsDefinition)
		r.define(gadgetsDefinition)
		for _, k := range []*kind{widgets, gadgets} {
			for _, base := range k.bases {
				r.until(request{method: "GET", path: base + "/" + k.plural}, is(http.StatusOK))
			}
		}
	}
	if slices.Contains(r.kinds, gizmos) {
		r.define(gizmosDefinition(r.T))
		r.until(request{method: "GET", path: gizmos.bases[0] + "/" + gizmos.plural}, is(http.StatusOK))
		r.until(request{method: "GET", path: gizmos.bases[1] + "/" + gizmos.plural}, is(http.StatusOK))
	}
	// The API server itself makes this one, some time after it is ready.
	r.until(request{method: "GET", path: "/api/v1/namespaces/default/services/kubernetes"}, is(http.StatusOK))
}

func is(code int) func(answer) bool { return func(a answer) bool { return a.code == code } }

func (r *run) define(definition string) {
	r.mustCreate("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", parse(definition))
}

func (r *run) mustCreate(path string, object map[string]any) {
	r.Helper()
	for i, one := range r.ask(r.T, request{method: "POST", path: path, body: object}) {
		if one.code != http.StatusCreated {
			r.Fatalf("%s: %s: %s", r.systems[i].name, path, encode(one.body))
		}
	}
}

// change makes random changes, and compares what comes of them.
func (r *run) change(count int) {
	r.Helper()
	for range count {
		k := pick(r.rand, r.kinds)
		name := fmt.Sprintf("%.2s-%d", k.plural, r.rand.IntN(25))
		folder := k.at(k.bases[0], pick(r.rand, namespaces))
		if r.rand.IntN(60) == 0 && k != namespaceKind { // a namespace is not gone when it is deleted
			r.deleteCollection(k, folder)
		} else {
			r.changeOne(k, folder, name)
		}
	}
}

func (r *run) changeOne(k *kind, folder, name string) {
	r.Helper()
	path := folder + "/" + name
	if !r.there[k][path] {
		object := k.create(r.rand)
		if k.kind != "" {
			object["apiVersion"], object["kind"] = strings.TrimPrefix(k.bases[0], "/apis/"), k.kind
		}
		object["metadata"] = map[string]any{"name": name, "labels": randomLabels(r.rand)}
		if involved, ok := object["involvedObject"].(map[string]any); ok {
			involved["namespace"] = namespaces[0]
			if folder == k.at(k.bases[0], namespaces[1]) {
				involved["namespace"] = namespaces[1]
			}
		}
		r.made(k, path, r.same(request{method: "POST", path: folder, body: object}))
		return
	}
	at := path
	if len(k.bases) > 1 && k != events && r.rand.IntN(4) == 0 { // as another version sees it
		at = k.bases[1] + path[len(k.bases[0]):]
	}
	switch n := r.rand.IntN(10); {
	case n < 2:
		query := url.Values{"gracePeriodSeconds": {"0"}}
		if k == pods && r.rand.IntN(3) == 0 {
			query.Del("gracePeriodSeconds")
		}
		r.same(request{method: "DELETE", path: path, query: query})
		r.made(k, path, r.same(request{method: "GET", path: path}))
	case n < 6 && len(k.changes) > 0:
		one := pick(r.rand, k.changes)(r.rand)
		wanted := request{method: one.method, path: at + one.sub, body: one.body, contentType: mergePatch}
		if one.sub == "/status" || one.sub == "/binding" || one.sub == "/finalize" {
			wanted.path = path + one.sub
		}
		if one.method != "PATCH" {
			wanted.contentType = ""
			one.body["metadata"] = map[string]any{"name": name}
		}
		r.same(wanted)
		r.made(k, path, r.same(request{method: "GET", path: path}))
	default:
		body := map[string]any{"metadata": map[string]any{"labels": changedLabels(r.rand)}}
		r.made(k, path, r.same(request{method: "PATCH", path: at, body: body, contentType: mergePatch}))
	}
}

// made takes note of the answers about an object, and returns its resource version on each system.
func (r *run) made(k *kind, path string, answers []answer) []string {
	if r.there[k] == nil {
		r.there[k] = map[string]bool{}
	}
	switch answers[0].code {
	case http.StatusOK, http.StatusCreated:
		r.there[k][path] = true
	case http.StatusNotFound:
		delete(r.there[k], path)
		return nil
	default:
		return nil
	}
	versions := make([]string, len(answers))
	for i, one := range answers {
		versions[i] = member(one.body, "metadata", "resourceVersion")
	}
	// A change that was refused has made none.
	if len(r.versions) == 0 || revision(versions) > revision(r.latest()) {
		r.versions = append(r.versions, versions)
		r.changes++
	}
	return versions
}

// revision is a resource version of the first system, as a number.
func revision(versions []string) int64 {
	number, _ := strconv.ParseInt(versions[0], 10, 64)
	return number
}

func (r *run) deleteCollection(k *kind, folder string) {
	query := r.selectors(k)
	query.Set("gracePeriodSeconds", "0")
	r.same(request{method: "DELETE", path: folder, query: query})
	for path := range r.there[k] {
		if len(path) > len(folder) && path[:len(folder)] == folder {
			delete(r.there[k], path)
		}
	}
	answers := r.same(request{method: "GET", path: folder})
	items, _ := answers[0].body["items"].([]any)
	for _, item := range items {
		r.there[k][folder+"/"+member(item.(map[string]any), "metadata", "name")] = true
	}
}

// at is for requests about the state after a change.
func (r *run) at(versions []string) func(system int) url.Values {
	return func(system int) url.Values { return url.Values{"resourceVersion": {versions[system]}} }
}

func (r *run) latest() []string { return r.versions[len(r.versions)-1] }

// place is a random path to a kind.
func (r *run) place(k *kind) string {
	places := namespaces
	if !k.shared {
		places = append([]string{"", ""}, namespaces...)
	}
	return k.at(pick(r.rand, k.bases), pick(r.rand, places))
}

// lists asks for random lists, whole or in pages, old or new.
func (r *run) lists(count int) {
	r.Helper()
	for range count {
		k := pick(r.rand, r.kinds)
		wanted := request{method: "GET", path: r.place(k), query: r.selectors(k), accept: pick(r.rand, []string{"", "", asMetadata, asTable})}
		if limit := pick(r.rand, []int{0, 0, 1, 2, 5, 20}); limit > 0 {
			wanted.query.Set("limit", strconv.Itoa(limit))
		}
		switch r.rand.IntN(5) {
		case 0, 1:
			wanted.query.Set("resourceVersionMatch", "Exact")
			wanted.own = r.at(pick(r.rand, r.versions))
		case 2:
			wanted.query.Set("resourceVersionMatch", "NotOlderThan")
			wanted.own = r.at(r.latest())
		case 3:
			wanted.query.Set("resourceVersion", "0")
			all := r.systems
			r.systems = all.uncached()
			r.pages(wanted, false)
			r.systems = all
			continue
		}
		r.pages(wanted, r.rand.IntN(3) == 0)
	}
}

// pages goes through all pages, with changes between them when so asked.
//
// A page that is full says that there is another one if there are more objects, selected or not: HariKube
// may know that no more are selected, Kubernetes as it is then has a last page with nothing on it.
func (r *run) pages(wanted request, changes bool) {
	r.Helper()
	const most = 12
	for range most {
		answers := r.same(wanted)
		tokens := make([]string, len(answers))
		more := 0
		for i, one := range answers {
			if tokens[i] = member(one.body, "metadata", "continue"); tokens[i] != "" {
				more++
			}
		}
		wanted.query.Del("resourceVersionMatch")
		wanted.query.Del("resourceVersion")
		wanted.own = func(system int) url.Values { return url.Values{"continue": {tokens[system]}} }
		if more < len(r.systems) {
			r.nothingMore(wanted, tokens, names(answers))
			return
		}
		if changes {
			r.change(2)
		}
	}
}

// nothingMore checks that the next pages are empty, on the systems that say that there are some.
func (r *run) nothingMore(wanted request, tokens []string, shown string) {
	r.Helper()
	if strings.Contains(wanted.query.Get("fieldSelector"), "metadata.namespace=") && !strings.Contains(wanted.path, "/namespaces/") {
		return // Kubernetes itself loses its place then: the next page begins anew with the namespace
	}
	for i, token := range tokens {
		if token == "" {
			continue
		}
		wanted.own = func(int) url.Values { return url.Values{"continue": {token}} }
		one := r.systems[i:i+1].ask(r.T, wanted)[0]
		items, _ := one.body["items"].([]any)
		rows, _ := one.body["rows"].([]any)
		if one.code != http.StatusOK || len(items)+len(rows) > 0 || member(one.body, "metadata", "continue") != "" {
			delete(one.body, "columnDefinitions")
			r.equal(fmt.Sprintf("%s alone has more than %s: %v", r.systems[i].name, shown, wanted), normal(one), "")
		}
	}
}

// round makes changes while random watches are open, and asks for lists.
func (r *run) round() {
	r.Helper()
	if r.changes > 0 && r.rand.IntN(2) == 0 {
		r.compact()
	}
	var watches []*watch
	for range 6 {
		for range 5 {
			watches = append(watches, r.watch())
		}
		r.change(20)
		r.lists(20)
	}
	r.finish(watches)
}

// compact compacts all stores up to a change.
func (r *run) compact() {
	r.Helper()
	before, at := r.versions[0], r.rand.IntN(len(r.versions))
	for i, s := range r.systems {
		revision, err := strconv.ParseInt(r.versions[at][i], 10, 64)
		if err != nil {
			r.Fatal(err)
		}
		if _, err := s.store(r.T).Compact(r.Context(), revision); err != nil {
			r.Fatalf("%s: %v", s.name, err)
		}
	}
	r.versions = r.versions[at:]
	if at == 0 {
		return
	}
	all := r.systems
	r.systems = all.uncached()
	k := pick(r.rand, r.kinds)
	r.same(request{method: "GET", path: r.place(k), own: r.at(before), query: url.Values{"resourceVersionMatch": {"Exact"}, "labelSelector": {"a"}}})
	r.systems = all
}

// names of what is on a page of each system.
func names(answers []answer) string {
	var all [][]string
	for _, one := range answers {
		var page []string
		items, _ := one.body["items"].([]any)
		for _, item := range items {
			page = append(page, member(item.(map[string]any), "metadata", "namespace")+"/"+member(item.(map[string]any), "metadata", "name"))
		}
		rows, _ := one.body["rows"].([]any)
		for _, row := range rows {
			page = append(page, fmt.Sprint(row.(map[string]any)["cells"]))
		}
		all = append(all, page)
	}
	return fmt.Sprint(all)
}

// distinct are the kinds: some are more than once among them, to be chosen more often.
func (r *run) distinct() []*kind {
	var kinds []*kind
	for _, k := range r.kinds {
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// sortedPaths are those of the objects of a kind.
func (r *run) sortedPaths(k *kind) []string {
	return slices.Sorted(maps.Keys(r.there[k]))
}
