package conformance

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"harikube.io/conformance/kubectl"
	"harikube.io/conformance/setting"
	"harikube.io/controlplane"
)

// TestLabel keeps custom resources from the controller manager, which does no harm to what depends on them.
// HARIKUBE_LABELLED_OWNERS is how many owners there are.
func TestLabel(t *testing.T) {
	for name, store := range databases {
		t.Run(name, func(t *testing.T) {
			c := beside(t, "label-"+name, store(t))
			c.start(t)
			c.Apply(t, definitionOf("label.test", "boxes", "Box", "Namespaced"))
			c.Established(t, "boxes.label.test")
			t.Run("owners that get the label", c.ownersThatGetTheLabel)
			t.Run("owners that have it", c.ownersThatHaveTheLabel)
			t.Run("quota", c.quotaOfLabelled)
			t.Run("seats of lists", c.seatsOfLists)
			t.Run("many lists at once", c.listsAtOnce)
			t.Run("deletions in pages", c.deletionsInPages)
		})
	}
}

func boxNamed(name, namespace, labels string) string {
	return fmt.Sprintf("{apiVersion: label.test/v1, kind: Box, metadata: {name: %s, namespace: %s, labels: {%s}}}\n---\n",
		name, namespace, labels)
}

// owned makes boxes, and a ConfigMap of the same name for each that has it as its owner.
func (c *cluster) owned(t *testing.T, namespace, labels string, names ...string) {
	t.Helper()
	for some := range slices.Chunk(names, 100) {
		var boxes, maps strings.Builder
		for _, name := range some {
			boxes.WriteString(boxNamed(name, namespace, labels))
		}
		c.Apply(t, boxes.String())
		for _, line := range strings.Fields(c.Do(t, append([]string{"-n", namespace, "get", "boxes", "-o",
			`jsonpath={range .items[*]}{.metadata.name}={.metadata.uid}{"\n"}{end}{.metadata.name}={.metadata.uid}`}, some...)...)) {
			if name, uid, _ := strings.Cut(line, "="); uid != "" {
				fmt.Fprintf(&maps, "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: %s, labels: {of: box},"+
					" ownerReferences: [{apiVersion: label.test/v1, kind: Box, name: %s, uid: %s}]}}\n---\n", name, namespace, name, uid)
			}
		}
		c.Apply(t, maps.String())
	}
}

func numbered(prefix string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s-%d", prefix, i))
	}
	return names
}

// collects waits until the garbage collector has done what it had to do: it takes what comes last last.
func (c *cluster) collects(t *testing.T, namespace, canary string) {
	t.Helper()
	c.owned(t, namespace, "", canary)
	c.inGraph(t, c.Do(t, "-n", namespace, "get", "box", canary, "-o", "jsonpath={.metadata.uid}"))
	c.Do(t, "-n", namespace, "delete", "box", canary)
	c.Until(t, kubectl.Is(""), "-n", namespace, "get", "configmap", canary, "--ignore-not-found", "-o", "name")
}

// manager is where the controller manager serves.
func (c *cluster) manager(t *testing.T) string {
	t.Helper()
	manager, err := c.plane.Process("kube-controller-manager")
	if err != nil {
		t.Fatal(err)
	}
	return manager.URL
}

// inGraph waits until the garbage collector knows an object.
func (c *cluster) inGraph(t *testing.T, uid string) {
	t.Helper()
	c.Until(t, func(graph string) bool { return strings.Contains(graph, uid) },
		"--server="+c.manager(t), "get", "--raw", "/debug/controllers/garbage-collector-controller/graph")
}

func (c *cluster) ownersThatGetTheLabel(t *testing.T) {
	n := setting.Number(t, "HARIKUBE_LABELLED_OWNERS", 100)
	c.Do(t, "create", "namespace", "before")
	c.owned(t, "before", "", numbered("box", n)...)
	c.inGraph(t, c.Do(t, "-n", "before", "get", "box", "box-0", "-o", "jsonpath={.metadata.uid}"))
	c.Do(t, "-n", "before", "label", "boxes", "--all", skipCaching+"=")
	c.collects(t, "before", "canary")
	for _, kind := range []string{"boxes", "configmaps"} {
		selector := map[string]string{"boxes": skipCaching, "configmaps": "of=box"}[kind]
		if names := c.Do(t, "-n", "before", "get", kind, "-l", selector, "-o", "name"); !kubectl.Lines(n)(names) {
			t.Errorf("of %d %s with the label there are left: %s", n, kind, names)
		}
	}
}

// requests is how many GETs the controller manager has sent.
func (c *cluster) requests(t *testing.T) float64 {
	t.Helper()
	metrics := c.Do(t, "--server="+c.manager(t), "get", "--raw", "/metrics")
	sum := sumOf(t, metrics, "rest_client_requests_total", `method="GET"`)
	if sum == 0 {
		t.Fatal("the controller manager does not say how many requests it has sent")
	}
	return sum
}

// sumOf adds up samples of a metric.
func sumOf(t *testing.T, metrics, name string, labels ...string) float64 {
	t.Helper()
	sum, err := controlplane.SumOf(metrics, name, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// ownersThatHaveTheLabel own ConfigMaps, which go when they go; nobody asks for them as long as they live.
func (c *cluster) ownersThatHaveTheLabel(t *testing.T) {
	n := setting.Number(t, "HARIKUBE_LABELLED_OWNERS", 100)
	c.Do(t, "create", "namespace", "since")
	c.owned(t, "since", skipCaching+`: ""`, numbered("box", n)...)
	c.collects(t, "since", "canary")
	const span, atMost = 5 * time.Second, 2.0 // requests a second; each namespace and CRD costs some, too
	quiet := false
	for until := time.Now().Add(90 * time.Second); !quiet && time.Now().Before(until); {
		began, before := time.Now(), c.requests(t)
		timer := time.NewTimer(span)
		select {
		case <-timer.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		rate := (c.requests(t) - before) / time.Since(began).Seconds()
		t.Logf("%.1f GETs a second", rate)
		quiet = rate < atMost
	}
	if !quiet {
		t.Errorf("owners that live are asked for again and again")
	}
	c.Do(t, "-n", "since", "delete", "box", "box-1", "box-3")
	c.Until(t, kubectl.Is(""), "-n", "since", "get", "configmap", "box-1", "box-3", "--ignore-not-found", "-o", "name")
	if names := c.Do(t, "-n", "since", "get", "configmaps", "-l", "of=box", "-o", "name"); !kubectl.Lines(n - 2)(names) {
		t.Errorf("of %d ConfigMaps there are left: %s", n-2, names)
	}
	// One whose label is taken off is an owner like any other.
	c.Do(t, "-n", "since", "label", "box", "box-5", skipCaching+"-")
	c.inGraph(t, c.Do(t, "-n", "since", "get", "box", "box-5", "-o", "jsonpath={.metadata.uid}"))
	c.Do(t, "-n", "since", "delete", "box", "box-5")
	c.Until(t, kubectl.Is(""), "-n", "since", "get", "configmap", "box-5", "--ignore-not-found", "-o", "name")
}

func (c *cluster) quotaOfLabelled(t *testing.T) {
	const used = `jsonpath={.status.used.count/boxes\.label\.test}`
	c.Do(t, "create", "namespace", "limited")
	c.Apply(t, "{apiVersion: v1, kind: ResourceQuota, metadata: {name: boxes, namespace: limited}, spec: {hard: {count/boxes.label.test: 4}}}")
	c.Until(t, kubectl.Is("0"), "-n", "limited", "get", "resourcequota", "boxes", "-o", used)
	for _, name := range numbered("box", 3) {
		c.Apply(t, boxNamed(name, "limited", skipCaching+`: ""`))
	}
	// A new limit makes the controller manager count again.
	c.Do(t, "-n", "limited", "patch", "resourcequota", "boxes", "--type=merge", "-p", `{"spec":{"hard":{"count/boxes.label.test":"5"}}}`)
	c.Until(t, kubectl.Is("5"), "-n", "limited", "get", "resourcequota", "boxes", "-o", `jsonpath={.status.hard.count/boxes\.label\.test}`)
	c.Until(t, kubectl.Is("3"), "-n", "limited", "get", "resourcequota", "boxes", "-o", used)
	c.Apply(t, boxNamed("box-4", "limited", skipCaching+`: ""`))
	c.Apply(t, boxNamed("box-5", "limited", ""))
	refused := c.Fails(t, "create", "-f", c.file(t, boxNamed("box-6", "limited", skipCaching+`: ""`)))
	if !strings.Contains(refused, "exceeded quota") {
		t.Errorf("one too many: %s", refused)
	}
}

// seats is how many requests of users API Priority and Fairness has taken for more than one seat, and how many in all.
func (c *cluster) seats(t *testing.T) (more, all float64) {
	t.Helper()
	metrics := c.Do(t, "get", "--raw", "/metrics")
	upTo := func(seats string) float64 {
		return sumOf(t, metrics, "apiserver_flowcontrol_work_estimated_seats_bucket", `flow_schema="global-default"`, `le="`+seats+`"`)
	}
	return upTo("+Inf") - upTo("1"), upTo("+Inf")
}

// seatsOfLists has a user list by a selector what a list of all takes several seats for.
func (c *cluster) seatsOfLists(t *testing.T) {
	c.Do(t, "create", "clusterrole", "reader", "--verb=list", "--resource=boxes.label.test")
	c.Do(t, "create", "clusterrolebinding", "reader", "--clusterrole=reader", "--user=reader")
	list := []string{"--as=reader", "get", "--raw", "/apis/label.test/v1/boxes"}
	before, _ := c.seats(t)
	// The API server counts what is stored every one or two minutes, and first when a definition is new or changes.
	c.Do(t, "patch", "crd", "boxes.label.test", "--type=json", "-p", `[{"op":"add","path":"/spec/versions/0/additionalPrinterColumns",`+
		`"value":[{"name":"Color","type":"string","jsonPath":".spec.color"}]}]`)
	c.Until(t, func(string) bool { more, _ := c.seats(t); return more > before }, list...)

	more, all := c.seats(t)
	for _, selector := range []string{"labelSelector=none", "labelSelector=!none&limit=10000", "fieldSelector=metadata.namespace%3Dnone"} {
		c.Do(t, "--as=reader", "get", "--raw", "/apis/label.test/v1/boxes?"+selector)
	}
	if after, of := c.seats(t); after != more || of < all+3 {
		t.Errorf("of %v lists by a selector %v take more than one seat", of-all, after-more)
	}
}

// listsAtOnce has a service account list by a selector 720 times at once: none is refused.
func (c *cluster) listsAtOnce(t *testing.T) {
	const account = "system:serviceaccount:default:crowd"
	c.Do(t, "apply", "-f", "../manifests/workload-low.yaml")
	c.Do(t, "create", "clusterrolebinding", "crowd", "--clusterrole=reader", "--user="+account)
	ask := c.asker(t)
	list := func() (int, error) {
		return ask(http.MethodGet, "/apis/label.test/v1/boxes?labelSelector=none", "", http.Header{
			"Impersonate-User": {account}, "Impersonate-Group": {"system:serviceaccounts", "system:authenticated"},
		})
	}
	// The API server learns of the role and of the queues by watches.
	c.Until(t, kubectl.Is("yes"), "--as="+account, "auth", "can-i", "list", "boxes.label.test")
	var refused, failed atomic.Int64
	var group sync.WaitGroup
	for range 720 {
		group.Go(func() {
			switch code, err := list(); {
			case err != nil:
				failed.Add(1)
				t.Log(err)
			case code == http.StatusTooManyRequests:
				refused.Add(1)
			case code != http.StatusOK:
				failed.Add(1)
				t.Log(code)
			}
		})
	}
	group.Wait()
	if refused.Load()+failed.Load() > 0 {
		t.Errorf("of 720 lists %d are refused, and %d fail", refused.Load(), failed.Load())
	}
}

// deletionsInPages deletes a namespace and a definition that have more objects than a page.
func (c *cluster) deletionsInPages(t *testing.T) {
	const count, page = 250, 100
	c.Do(t, "create", "namespace", "full")
	for _, what := range []struct{ kind, name, namespace string }{{"namespace", "full", "full"}, {"crd", "boxes.label.test", "default"}} {
		c.createBoxes(t, what.namespace, count)
		before := c.lists(t, "boxes")
		c.Do(t, "delete", what.kind, what.name, "--wait=false")
		c.Until(t, kubectl.Is(""), "get", what.kind, what.name, "--ignore-not-found", "-o", "name")
		after := c.lists(t, "boxes")
		fetched, lists := after.fetched-before.fetched, after.lists-before.lists
		t.Logf("%s: %v lists have got %v objects", what.kind, lists, fetched)
		if fetched < count || lists == 0 || fetched/lists > page {
			t.Errorf("%s: %v lists have got %v objects, more than %d each", what.kind, lists, fetched, page)
		}
	}
}

// createBoxes makes many with the label.
func (c *cluster) createBoxes(t *testing.T, namespace string, count int) {
	t.Helper()
	ask := c.asker(t)
	const workers = 16
	failures := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < count && failures[w] == nil; i += workers {
				box := fmt.Sprintf(`{"apiVersion":"label.test/v1","kind":"Box","metadata":{"name":"many-%d","labels":{"%s":""}}}`, i, skipCaching)
				code, err := ask(http.MethodPost, "/apis/label.test/v1/namespaces/"+namespace+"/boxes", box, http.Header{"Content-Type": {"application/json"}})
				if err == nil && code != http.StatusCreated {
					err = fmt.Errorf("many-%d: %d", i, code)
				}
				failures[w] = err
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
}

// asker sends requests to the API server, many at once, and returns the status of the answers.
func (c *cluster) asker(t *testing.T) func(method, path, body string, header http.Header) (int, error) {
	t.Helper()
	client, err := c.plane.Client()
	if err != nil {
		t.Fatal(err)
	}
	return func(method, path, body string, header http.Header) (int, error) {
		request, err := http.NewRequestWithContext(t.Context(), method, c.plane.URL+path, strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		request.Header = header
		response, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
}
