package conformance

import (
	"fmt"
	"strings"
	"testing"

	"harikube.io/conformance/kubectl"
)

// TestGarbageCollection has the store collect what kube-controller-manager does not see: every deletion ends, and
// what is left is what Kubernetes would leave.
func TestGarbageCollection(t *testing.T) {
	for name, store := range databases {
		t.Run(name, func(t *testing.T) {
			c := beside(t, "gc-"+name, store(t))
			c.start(t)
			c.Apply(t, definitionOf("gc.test", "things", "Thing", "Namespaced"))
			c.Established(t, "things.gc.test")
			// The controller manager knows the kind: before that nothing of it is collected, on any store.
			c.makeThings(t, "default", thing{name: "seen", visible: true}, thing{name: "owned", owners: []string{"seen"}, visible: true})
			c.inGraph(t, c.uid(t, "default", "owned"))
			for _, hidden := range []bool{true, false} {
				for _, policy := range []string{"background", "foreground", "orphan"} {
					t.Run(fmt.Sprintf("%s hidden=%v", policy, hidden), func(t *testing.T) { c.chain(t, policy, hidden) })
				}
			}
			t.Run("owners without dependents", c.lonelyOwners)
			t.Run("kinds of dependents", c.kindsOfDependents)
			t.Run("held by a finalizer", c.heldByAFinalizer)
			t.Run("a visible owner", c.visibleOwner)
			t.Run("a label that is put on and taken off", c.labelComesAndGoes)
			t.Run("the definition", c.definitionGoes)
		})
	}
}

// thing is a custom resource, hidden unless it is visible.
type thing struct {
	name       string
	owners     []string
	visible    bool
	finalizers string
}

// makeThings makes some, one after the other, in a namespace that may have to be made.
func (c *cluster) makeThings(t *testing.T, namespace string, things ...thing) {
	t.Helper()
	for _, one := range things {
		labels := skipCaching + `: ""`
		if one.visible {
			labels = ""
		}
		c.Apply(t, fmt.Sprintf(`{apiVersion: gc.test/v1, kind: Thing, metadata: {name: %s, namespace: %s, labels: {%s}, finalizers: [%s], ownerReferences: [%s]}}`,
			one.name, namespace, labels, one.finalizers, c.references(t, namespace, one.owners)))
	}
}

// references are to things that there are.
func (c *cluster) references(t *testing.T, namespace string, owners []string) string {
	t.Helper()
	var references []string
	for _, owner := range owners {
		references = append(references, fmt.Sprintf("{apiVersion: gc.test/v1, kind: Thing, name: %s, uid: %s, blockOwnerDeletion: true}",
			owner, c.uid(t, namespace, owner)))
	}
	return strings.Join(references, ", ")
}

func (c *cluster) uid(t *testing.T, namespace, name string) string {
	t.Helper()
	return c.Do(t, "-n", namespace, "get", "thing", name, "-o", "jsonpath={.metadata.uid}")
}

// left waits until a namespace has these things, each with the names of its owners.
func (c *cluster) left(t *testing.T, namespace, want string) {
	t.Helper()
	c.Until(t, kubectl.Is(want), "-n", namespace, "get", "things", "-o",
		`jsonpath={range .items[*]}{.metadata.name}({.metadata.ownerReferences[*].name}) {end}`)
}

// chain deletes the first of three.
func (c *cluster) chain(t *testing.T, policy string, hidden bool) {
	namespace := fmt.Sprintf("%s-%v", policy, hidden)
	c.Do(t, "create", "namespace", namespace)
	c.makeThings(t, namespace, thing{name: "a", visible: !hidden}, thing{name: "b", owners: []string{"a"}, visible: !hidden},
		thing{name: "c", owners: []string{"b"}, visible: !hidden}, thing{name: "d", visible: true},
		thing{name: "e", owners: []string{"a", "d"}, visible: !hidden})
	if !hidden {
		c.inGraph(t, c.uid(t, namespace, "e"))
	}
	c.Do(t, "-n", namespace, "delete", "thing", "a", "--cascade="+policy)
	if policy == "orphan" {
		c.left(t, namespace, "b() c(b) d() e(d)")
		return
	}
	c.left(t, namespace, "d() e(d)")
}

func (c *cluster) lonelyOwners(t *testing.T) {
	c.Do(t, "create", "namespace", "lonely")
	for _, policy := range []string{"background", "foreground", "orphan"} {
		c.makeThings(t, "lonely", thing{name: "alone"})
		c.Do(t, "-n", "lonely", "delete", "thing", "alone", "--cascade="+policy)
	}
	c.left(t, "lonely", "")
}

// dependentsOf are of kinds that go in different ways.
const dependentsOf = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: kinds, ownerReferences: [%[1]s]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: one, namespace: kinds, ownerReferences: [%[1]s]}
spec:
  replicas: 1
  selector: {matchLabels: {app: one}}
  template: {metadata: {labels: {app: one}}, spec: {containers: [{name: one, image: "example.com/one:1"}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: one, namespace: kinds, ownerReferences: [%[1]s]}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bare, namespace: kinds, ownerReferences: [%[1]s]}, spec: {
  containers: [{name: one, image: "example.com/one:1"}]}}
`

// kindsOfDependents are visible, and their owner is not: all go before it in the foreground, and after it in the background.
func (c *cluster) kindsOfDependents(t *testing.T) {
	c.Do(t, "create", "namespace", "kinds")
	for _, policy := range []string{"foreground", "background"} {
		c.makeThings(t, "kinds", thing{name: "owner"})
		c.Apply(t, fmt.Sprintf(dependentsOf, c.references(t, "kinds", []string{"owner"})))
		c.Until(t, kubectl.Lines(2), "-n", "kinds", "get", "pods", "-o", "name")
		c.inGraph(t, c.Do(t, "-n", "kinds", "get", "service", "one", "-o", "jsonpath={.metadata.uid}"))
		c.Do(t, "-n", "kinds", "delete", "thing", "owner", "--cascade="+policy)
		c.Until(t, kubectl.Is(""), "-n", "kinds", "get", "deployments,replicasets,pods,services", "-o", "name")
		c.Until(t, kubectl.Is(""), "-n", "kinds", "get", "configmap", "one", "--ignore-not-found", "-o", "name")
	}
}

func (c *cluster) heldByAFinalizer(t *testing.T) {
	c.Do(t, "create", "namespace", "held")
	c.makeThings(t, "held", thing{name: "a"}, thing{name: "b", owners: []string{"a"}, finalizers: "example.com/held"})
	c.Do(t, "-n", "held", "delete", "thing", "a", "--cascade=foreground", "--wait=false")
	c.Until(t, func(at string) bool { return at != "" }, "-n", "held", "get", "thing", "b", "-o", "jsonpath={.metadata.deletionTimestamp}")
	c.left(t, "held", "a() b(a)")
	c.Do(t, "-n", "held", "patch", "thing", "b", "--type=json", "-p", `[{"op":"remove","path":"/metadata/finalizers"}]`)
	c.left(t, "held", "")
}

// visibleOwner is what kube-controller-manager deletes, without knowing of what depends on it.
func (c *cluster) visibleOwner(t *testing.T) {
	c.Do(t, "create", "namespace", "visible")
	for policy, left := range map[string]string{"background": "", "foreground": "", "orphan": "b()"} {
		c.makeThings(t, "visible", thing{name: "a", visible: true}, thing{name: "b", owners: []string{"a"}})
		c.Do(t, "-n", "visible", "delete", "thing", "a", "--cascade="+policy)
		c.left(t, "visible", left)
	}
}

func (c *cluster) labelComesAndGoes(t *testing.T) {
	c.Do(t, "create", "namespace", "label")
	c.makeThings(t, "label", thing{name: "a"}, thing{name: "b", owners: []string{"a"}}, thing{name: "c", owners: []string{"a"}, visible: true})
	c.inGraph(t, c.uid(t, "label", "c"))
	c.Do(t, "-n", "label", "label", "thing", "b", skipCaching+"-")
	c.inGraph(t, c.uid(t, "label", "b"))
	c.Do(t, "-n", "label", "label", "thing", "c", skipCaching+"=")
	c.left(t, "label", "a() b(a) c(a)")
	c.Do(t, "-n", "label", "delete", "thing", "a")
	c.left(t, "label", "")
}

// definitionGoes although something is being deleted that holds it up where nobody collects.
func (c *cluster) definitionGoes(t *testing.T) {
	c.Apply(t, definitionOf("gone.test", "things", "Thing", "Namespaced"))
	c.Established(t, "things.gone.test")
	c.Apply(t, fmt.Sprintf(`{apiVersion: gone.test/v1, kind: Thing, metadata: {name: a, namespace: default, labels: {%s: ""}}}`, skipCaching))
	c.Do(t, "delete", "things.gone.test", "a", "--cascade=foreground", "--wait=false")
	c.Do(t, "delete", "crd", "things.gone.test")
}
