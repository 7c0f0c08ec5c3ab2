package exact

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watch is one request to all systems, and the events that each has sent so far.
type watch struct {
	kind    *kind
	request request
	streams []*stream
}

// stream is the watch of one system.
type stream struct {
	system  *system
	request request
	index   int
	cancel  context.CancelFunc

	mutex   sync.Mutex
	events  []string
	last    string // the resource version of the last event
	ended   bool
	changed chan struct{} // has something after each event
}

// watch starts a random watch on all systems.
func (r *run) watch() *watch {
	r.Helper()
	k, wanted := r.watchRequest()
	query := wanted.query
	switch r.rand.IntN(5) {
	case 0: // what there is, and what comes
	case 1:
		query.Set("sendInitialEvents", "true")
		query.Set("allowWatchBookmarks", "true")
		query.Set("resourceVersionMatch", "NotOlderThan")
		if r.rand.IntN(2) == 0 {
			wanted.own = r.at(r.latest())
		}
	case 2:
		wanted.own = r.at(r.latest())
	default: // what has been
		wanted.own = r.at(pick(r.rand, r.versions))
	}
	if wanted.own == nil && !query.Has("sendInitialEvents") {
		all := r.systems
		r.systems = all.uncached()
		defer func() { r.systems = all }()
	}
	w := r.open(k, wanted)
	if !r.begun(w) {
		w.cancel()
		wanted.own = r.at(r.latest())
		w = r.open(k, wanted)
	}
	return w
}

// watchSince is a random watch for what has been since a change, by any fields but one.
func (r *run) watchSince(versions []string, but string) *watch {
	r.Helper()
	k, wanted := r.watchRequest()
	for but != "" && strings.Contains(wanted.query.Get("fieldSelector"), but) {
		k, wanted = r.watchRequest()
	}
	wanted.own = r.at(versions)
	return r.open(k, wanted)
}

func (r *run) watchRequest() (*kind, request) {
	k := pick(r.rand, r.kinds)
	query := r.selectors(k)
	query.Set("watch", "true")
	accept := pick(r.rand, []string{"", "", strings.Replace(asMetadata, "PartialObjectMetadataList", "PartialObjectMetadata", 1), asTable})
	return k, request{method: "GET", path: r.place(k), query: query, accept: accept}
}

// begun waits for the initial events of a watch, which must not see what comes next. It returns false if
// nobody can know whether they have been, because there are none and nothing tells their end.
func (r *run) begun(w *watch) bool {
	r.Helper()
	initial := 0
	switch {
	case w.request.query.Has("sendInitialEvents"):
	case w.request.own != nil:
		return true
	default:
		items, _ := r.reference(w).body["items"].([]any)
		if initial = len(items); initial == 0 {
			return false
		}
	}
	for _, one := range w.streams {
		if !one.await(func(events []string, _ string) bool {
			return initial > 0 && len(events) >= initial || len(events) > 0 && strings.HasPrefix(events[len(events)-1], "BOOKMARK")
		}) {
			r.Errorf("%s: %v: the initial events do not end", one.system.name, w.request)
		}
	}
	return true
}

func (w *watch) cancel() {
	for _, one := range w.streams {
		one.cancel()
	}
}

// reference returns what Kubernetes as it is lists with the selectors of a watch.
func (r *run) reference(w *watch) answer {
	r.Helper()
	query := url.Values{}
	for _, name := range []string{"labelSelector", "fieldSelector"} {
		if text := w.request.query.Get(name); text != "" {
			query.Set(name, text)
		}
	}
	return r.systems[:1].ask(r.T, request{method: "GET", path: w.request.path, query: query})[0]
}

func (r *run) open(k *kind, wanted request) *watch {
	r.Helper()
	w := &watch{kind: k, request: wanted}
	for i, s := range r.systems {
		ctx, cancel := context.WithCancel(r.Context())
		one := &stream{system: s, request: wanted, index: i, cancel: cancel, changed: make(chan struct{}, 1)}
		w.streams = append(w.streams, one)
		opened := make(chan struct{})
		go one.follow(ctx, opened)
		select {
		case <-opened: // an answer with what there is now: the changes that come are after it
		case <-time.After(within):
			r.Fatalf("%s: %v: no answer within %s", s.name, wanted, within)
		}
	}
	return w
}

// follow reads the events until the watch is cancelled. As clients do, it goes on from the last event
// when a server ends the watch, which they do when a definition changes.
func (s *stream) follow(ctx context.Context, opened chan struct{}) {
	var once sync.Once
	open := func() { once.Do(func() { close(opened) }) }
	defer open()
	wanted := s.request
	for ctx.Err() == nil {
		again := s.read(ctx, wanted, open)
		s.mutex.Lock()
		last := s.last
		if !again || last == "" && wanted.own == nil {
			s.ended = true
		}
		ended := s.ended
		s.mutex.Unlock()
		if ended {
			s.signal()
			return
		}
		if last != "" {
			query := url.Values{}
			for name, values := range wanted.query {
				if name != "sendInitialEvents" && name != "resourceVersionMatch" {
					query[name] = values
				}
			}
			wanted.query = query
			wanted.own = func(int) url.Values { return url.Values{"resourceVersion": {last}} }
		}
	}
}

// read reads the events of one answer; it returns whether to ask again.
func (s *stream) read(ctx context.Context, wanted request, open func()) bool {
	response, err := s.system.send(ctx, s.index, wanted)
	if err != nil {
		return ctx.Err() == nil && s.add("FAILED "+err.Error(), "")
	}
	defer response.Body.Close()
	open()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return s.add(normal(answer{response.StatusCode, parsed(text)}), "")
	}
	decoder := json.NewDecoder(response.Body)
	for {
		event, err := decode(decoder)
		if err != nil {
			return ctx.Err() == nil
		}
		object, _ := event["object"].(map[string]any)
		if event["type"] == "ERROR" {
			code, _ := object["code"].(json.Number)
			number, _ := strconv.Atoi(string(code))
			return s.add("ERROR "+normal(answer{number, object}), "")
		}
		described := object
		if rows, _ := object["rows"].([]any); object["kind"] == "Table" && len(rows) > 0 {
			described, _ = rows[0].(map[string]any)["object"].(map[string]any)
		}
		version := member(described, "metadata", "resourceVersion")
		if event["type"] == "BOOKMARK" {
			if member(described, "metadata", "annotations", "k8s.io/initial-events-end") == "true" {
				s.add("BOOKMARK at the end of the initial events", version)
			}
			continue
		}
		s.add(fmt.Sprintf("%s %s", event["type"], text(bareEvent(object))), version)
	}
}

// add returns false if the event is the last one because it is none.
func (s *stream) add(event, version string) bool {
	s.mutex.Lock()
	s.events = append(s.events, event)
	if version != "" {
		s.last = version
	}
	s.mutex.Unlock()
	s.signal()
	return version != ""
}

func (s *stream) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *stream) seen() (events []string, last string, ended bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.events, s.last, s.ended
}

// await returns when the condition holds, false if it does not in time.
func (s *stream) await(condition func(events []string, last string) bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		events, last, ended := s.seen()
		if condition(events, last) || ended {
			return true
		}
		select {
		case <-s.changed:
		case <-deadline.C:
			return false
		}
	}
}

// sees returns whether the event with a resource version comes, or the watch ends.
func (s *stream) sees(version string) bool {
	return s.await(func(_ []string, last string) bool { return last == version })
}

// needOne makes an object of a kind where the random changes have left none: nothing would be compared.
func (r *run) needOne(k *kind) {
	r.Helper()
	for i := 0; len(r.there[k]) == 0; i++ {
		if i == 5 {
			r.Errorf("no %s can be made, so nothing is compared", k.plural)
			return
		}
		r.changeOne(k, k.at(k.bases[0], namespaces[0]), fmt.Sprintf("%.2s-last-%d", k.plural, i))
	}
}

// finish changes every object once more, so that each watch whose selector matches something has an
// event to come, and compares all events up to that one.
func (r *run) finish(watches []*watch) {
	r.Helper()
	touched := map[string][]string{} // path → the resource version on each system
	for _, k := range r.distinct() {
		r.needOne(k)
		for _, path := range r.sortedPaths(k) {
			body := map[string]any{"metadata": map[string]any{"annotations": map[string]any{"touched": strconv.Itoa(r.changes)}}}
			answers := r.same(request{method: "PATCH", path: path, body: body, contentType: mergePatch})
			if versions := r.made(k, path, answers); versions != nil {
				touched[path] = versions
			}
		}
	}
	var open []*watch
	for _, w := range watches {
		last := r.lastOf(w, touched)
		// Where a definition has changed Kubernetes may serve the watch by the one of when it began.
		if last == nil || r.redefined && !w.streams[0].sees(last[0]) {
			open = append(open, w)
			continue
		}
		for i, one := range w.streams {
			if !one.sees(last[i]) {
				r.Errorf("%s: %v: no event with the resource version %s", one.system.name, w.request, last[i])
			}
			one.cancel()
		}
		r.sameEvents(w)
	}
	// Those of which nothing more is to come. The others have got what came after.
	for _, w := range open {
		wanted, _, _ := w.streams[0].seen()
		for _, one := range w.streams {
			one.await(func(events []string, _ string) bool { return len(events) >= len(wanted) })
			one.cancel()
		}
		r.sameEvents(w)
	}
	r.Logf("after %.0f s: %d changes, %d answers, %d watches with %d events",
		time.Since(r.began).Seconds(), r.changes, r.answers, r.watches, r.events)
}

// lastOf returns the resource versions of the last touched object that a watch sees, nil if there is none.
func (r *run) lastOf(w *watch, touched map[string][]string) []string {
	items, _ := r.reference(w).body["items"].([]any)
	var last []string
	for _, item := range items {
		namespace, name := member(item.(map[string]any), "metadata", "namespace"), member(item.(map[string]any), "metadata", "name")
		versions := touched[w.kind.at(w.kind.bases[0], namespace)+"/"+name]
		if versions != nil && (last == nil || revision(versions) > revision(last)) {
			last = versions
		}
	}
	return last
}

func (r *run) sameEvents(w *watch) {
	r.Helper()
	want, _, _ := w.streams[0].seen()
	r.watches++
	r.events += len(want)
	for _, one := range w.streams[1:] {
		got, _, _ := one.seen()
		if one.system.name == cached && slices.ContainsFunc(got, func(event string) bool { return strings.Contains(event, `"reason":"Expired"`) }) {
			continue // its memory does not go back that far
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				r.equal(fmt.Sprintf("%s: %v: event %d of %d", one.system.name, w.request, i, len(got)),
					strings.Join(got[min(i, len(got)):], "\n"), strings.Join(want[min(i, len(want)):], "\n"))
				break
			}
		}
	}
}
