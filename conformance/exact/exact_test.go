package exact

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/setting"
)

// TestExact asks Kubernetes as it is and Kubernetes on HariKube the same, while the same changes are made.
func TestExact(t *testing.T) {
	all := newSystems(t)
	r := newRun(t, all, slices.Concat([]*kind{widgets, widgets, widgets, gadgets, gizmos, pods}, builtIn))
	r.root = pick(r.rand, []string{"/registry", "/registry", "/registry/tenant"})
	t.Log("keys begin with " + r.root)
	all.start(t, "--etcd-prefix="+r.root)
	r.prepare()
	r.change(150)
	for range setting.Number(t, "HARIKUBE_EXACT_ROUNDS", 2) {
		r.round()
	}
	r.kinds = []*kind{widgets}
	r.redefined = true
	r.definitionChanges()
	r.redefined = false
	r.crowd()
}

// crowd adds more objects than a page has, and than a server looks at one by one.
func (r *run) crowd() {
	r.Helper()
	const parts, perPart = 12, 100
	stores := make([]*clientv3.Client, len(r.systems))
	for i, s := range r.systems {
		stores[i] = s.store(r.T)
	}
	watches := []*watch{r.watchSince(r.latest(), ""), r.watchSince(r.latest(), "")}
	for part := range parts {
		var puts []clientv3.Op
		for i := range perPart {
			object := widgetSpec(r.rand)
			name, namespace := fmt.Sprintf("crowd-%d-%d", part, i), pick(r.rand, namespaces)
			object["apiVersion"], object["kind"] = "filters.test/v2", "Widget"
			object["metadata"] = map[string]any{
				"name": name, "namespace": namespace, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": randomLabels(r.rand),
			}
			puts = append(puts, clientv3.OpPut(r.root+"/filters.test/widgets/"+namespace+"/"+name, string(encode(object))))
		}
		versions := make([]string, len(stores))
		for i, store := range stores {
			response, err := store.Txn(r.Context()).Then(puts...).Commit()
			if err != nil {
				r.Fatalf("%s: %v", r.systems[i].name, err)
			}
			versions[i] = strconv.FormatInt(response.Header.Revision, 10)
		}
		r.versions = append(r.versions, versions)
		if part%4 == 0 {
			watches = append(watches, r.watchSince(versions, ""))
		}
	}
	r.lists(15)
	r.finish(watches)
}

// definitionChanges has definitions change while objects of them are changed, watched and listed.
func (r *run) definitionChanges() {
	const definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.filters.test"
	patchDefinition := func(patch ...any) {
		r.Helper()
		for i, one := range r.ask(r.T, request{method: "PATCH", path: definition, body: patch, contentType: "application/json-patch+json"}) {
			if one.code != http.StatusOK {
				r.Fatalf("%s: %s", r.systems[i].name, encode(one.body))
			}
		}
	}
	during := func(served func()) {
		r.Helper()
		var watches []*watch
		// A watch by a field that is none any more ends, sooner or later.
		for range 8 {
			watches = append(watches, r.watchSince(pick(r.rand, r.versions), "spec.tone"))
		}
		r.change(15)
		served()
		for range 8 {
			watches = append(watches, r.watchSince(pick(r.rand, r.versions), ""))
		}
		r.lists(20)
		r.change(15)
		r.lists(10)
		r.finish(watches)
	}
	byTone := request{method: "GET", path: "/apis/filters.test/v1/widgets", query: url.Values{"fieldSelector": {"spec.tone=low"}}}
	during(func() {
		patchDefinition(map[string]any{"op": "add", "path": "/spec/versions/0/selectableFields/-", "value": map[string]any{"jsonPath": ".spec.tone"}})
		r.until(byTone, is(http.StatusOK))
	})
	during(func() {
		patchDefinition(map[string]any{"op": "replace", "path": "/spec/versions/0/selectableFields/0", "value": map[string]any{"jsonPath": ".spec.shape"}},
			map[string]any{"op": "replace", "path": "/spec/versions/0/selectableFields/3", "value": map[string]any{"jsonPath": ".spec.color"}},
			map[string]any{"op": "remove", "path": "/spec/versions/0/selectableFields/4"})
		r.until(byTone, is(http.StatusBadRequest))
	})
	during(func() {
		patchDefinition(map[string]any{"op": "replace", "path": "/spec/versions/0/storage", "value": false},
			map[string]any{"op": "replace", "path": "/spec/versions/1/storage", "value": true})
		r.storedAs("filters.test/v2")
	})
}

// storedAs returns when all systems store widgets in a version.
func (r *run) storedAs(version string) {
	r.Helper()
	const widget = "/apis/filters.test/v1/namespaces/default/widgets/probe"
	r.mustCreate(path.Dir(widget), map[string]any{
		"apiVersion": "filters.test/v1", "kind": "Widget", "metadata": map[string]any{"name": "probe"},
	})
	stores := make([]*clientv3.Client, len(r.systems))
	for i, s := range r.systems {
		stores[i] = s.store(r.T)
	}
	writes := 0
	r.eventually("widgets are stored as "+version, func() bool {
		writes++
		body := map[string]any{"metadata": map[string]any{"annotations": map[string]any{"write": strconv.Itoa(writes)}}}
		r.ask(r.T, request{method: "PATCH", path: widget, body: body, contentType: mergePatch})
		return !slices.ContainsFunc(stores, func(store *clientv3.Client) bool {
			response, err := store.Get(r.Context(), r.root+"/filters.test/widgets/default/probe")
			if err != nil {
				r.Fatal(err)
			}
			return len(response.Kvs) != 1 || !strings.Contains(string(response.Kvs[0].Value), `"`+version+`"`)
		})
	})
	r.ask(r.T, request{method: "DELETE", path: widget})
}
