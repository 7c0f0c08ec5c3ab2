package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harikube.io/e2e/kubectl"
	"harikube.io/e2e/setting"
)

const (
	skipCaching = "skip-controller-manager-metadata-caching"
	policyFile  = "../manifests/skip-controller-manager-metadata-caching.yaml"
)

// definitionOf is the definition of a kind in version v1, without a schema for what is in its objects.
func definitionOf(group, plural, kind, scope string) string {
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[4]s.%[1]s}
spec:
  group: %[1]s
  scope: %[5]s
  names: {plural: %[4]s, singular: %[3]s, kind: %[2]s}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, group, kind, strings.ToLower(kind), plural, scope)
}

// builtIn are objects of Kubernetes itself; they have no label.
const builtIn = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: plain, namespace: team}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: plain}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain, namespace: team}
spec:
  replicas: 1
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec: {containers: [{name: plain, image: "example.com/plain:1"}]}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: plain, namespace: team}, spec: {schedule: "0 0 1 1 *", jobTemplate: {
  spec: {template: {spec: {restartPolicy: Never, containers: [{name: plain, image: "example.com/plain:1"}]}}}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: plain, namespace: team}, spec: {
  minAvailable: 1, selector: {matchLabels: {app: plain}}}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: plain, namespace: team}, spec: {
  maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: plain}}}
---
{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: plain, namespace: team}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: plain, namespace: team}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: plain}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: plain, namespace: team}, roleRef: {
  apiGroup: rbac.authorization.k8s.io, kind: Role, name: plain}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: plain, namespace: team}, spec: {podSelector: {}}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: plain}, value: 1}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: plains.policy.test}, spec: {
  group: policy.test, scope: Cluster, names: {plural: plains, singular: plain, kind: Plain}, versions: [
  {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}
`

// TestPolicy applies the manifest that keeps custom resources out of the controller manager's memory.
func TestPolicy(t *testing.T) {
	for name, store := range databases {
		t.Run(name, func(t *testing.T) {
			c := beside(t, "policy-"+name, store(t))
			c.start(t)
			t.Log(c.Do(t, "version"))
			c.Do(t, "create", "namespace", "team")
			c.Do(t, "create", "namespace", "kube-team")
			// Of before the policy, which has no say in it.
			c.Apply(t, definitionOf("policy.test", "gadgets", "Gadget", "Namespaced")+"---"+definitionOf("policy.test", "regions", "Region", "Cluster"))
			c.Established(t, "gadgets.policy.test", "regions.policy.test")
			c.Until(t, kubectl.Lines(0), "get", "gadgets,regions", "-A", "-o", "name")
			c.Apply(t, gadget("before", "team", ""))

			c.Do(t, "apply", "-f", policyFile)
			c.awaitPolicy(t)
			if applied := c.Do(t, "apply", "-f", policyFile); strings.Contains(applied, "created") || strings.Contains(applied, "configured") {
				t.Errorf("applying it again: %s", applied)
			}
			t.Run("custom resources", c.labelled)
			t.Run("left alone", c.leftAlone)
			t.Run("left out by name", c.leftOut)
			t.Run("by administrators alone", c.administrators)
			t.Run("every group of Kubernetes", c.groups)
			t.Run("soon after the definition", c.soon)
			t.Run("garbage collector", c.notInGraph)
		})
	}
}

func gadget(name, namespace, labels string) string {
	return fmt.Sprintf("{apiVersion: policy.test/v1, kind: Gadget, metadata: {name: %s, namespace: %s%s}, spec: {size: 1}}\n",
		name, namespace, labels)
}

// awaitPolicy waits until the API server goes by the policy, which it learns of by a watch.
func (c *cluster) awaitPolicy(t *testing.T) {
	t.Helper()
	c.Until(t, kubectl.Is(`{"`+skipCaching+`":""}`), "create", "--dry-run=server", "-f", c.file(t, gadget("probe", "team", "")),
		"-o", "jsonpath={.metadata.labels}")
}

func (c *cluster) file(t *testing.T, manifest string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// labelsAre checks the labels of an object, as JSON; none is the empty string.
func (c *cluster) labelsAre(t *testing.T, want string, object ...string) {
	t.Helper()
	if got := c.Do(t, append([]string{"get", "-o", "jsonpath={.metadata.labels}"}, object...)...); got != want {
		t.Errorf("%v has the labels %s, not %s", object, got, want)
	}
}

func (c *cluster) labelled(t *testing.T) {
	const skip = `{"` + skipCaching + `":""}`
	c.Apply(t, strings.Join([]string{
		gadget("none", "team", ""),
		gadget("empty", "team", ", labels: {}"),
		gadget("nothing", "team", ", labels: null"),
		gadget("others", "team", `, labels: {color: red, "a.example/b": ""}`),
		gadget("has-it", "team", fmt.Sprintf(`, labels: {%s: "yes"}`, skipCaching)),
		gadget("has-it-empty", "team", fmt.Sprintf(`, labels: {%s: "", color: red}`, skipCaching)),
		gadget("not-kube", "default", ""),
		`{apiVersion: policy.test/v1, kind: Region, metadata: {name: none}}`,
		`{apiVersion: policy.test/v1, kind: Region, metadata: {name: kube-others, labels: {color: red}}}`,
	}, "\n---\n"))
	for _, name := range []string{"none", "empty", "nothing"} {
		c.labelsAre(t, skip, "-n", "team", "gadget", name)
	}
	c.labelsAre(t, `{"a.example/b":"","color":"red","`+skipCaching+`":""}`, "-n", "team", "gadget", "others")
	c.labelsAre(t, `{"`+skipCaching+`":"yes"}`, "-n", "team", "gadget", "has-it")
	c.labelsAre(t, `{"color":"red","`+skipCaching+`":""}`, "-n", "team", "gadget", "has-it-empty")
	c.labelsAre(t, skip, "-n", "default", "gadget", "not-kube")
	c.labelsAre(t, skip, "region", "none")
	c.labelsAre(t, `{"color":"red","`+skipCaching+`":""}`, "region", "kube-others")

	// Server-side apply creates, too; and nobody takes the label away by applying again.
	c.Do(t, "apply", "--server-side", "-f", c.file(t, gadget("server-side", "team", ", labels: {color: red}")))
	c.Do(t, "apply", "--server-side", "-f", c.file(t, gadget("server-side", "team", ", labels: {color: blue}")))
	c.labelsAre(t, `{"color":"blue","`+skipCaching+`":""}`, "-n", "team", "gadget", "server-side")
	c.Apply(t, gadget("none", "team", ", labels: {color: red}"))
	c.labelsAre(t, `{"color":"red","`+skipCaching+`":""}`, "-n", "team", "gadget", "none")

	// An update does not add it.
	c.Do(t, "-n", "team", "label", "gadget", "none", skipCaching+"-")
	c.Do(t, "-n", "team", "patch", "gadget", "none", "--type=merge", "-p", `{"spec":{"size":2}}`)
	c.Do(t, "replace", "-f", c.file(t, gadget("none", "team", "")))
	c.labelsAre(t, "", "-n", "team", "gadget", "none")
	c.Do(t, "-n", "team", "patch", "gadget", "before", "--type=merge", "-p", `{"spec":{"size":2}}`)
	c.labelsAre(t, "", "-n", "team", "gadget", "before")
}

func (c *cluster) leftAlone(t *testing.T) {
	c.Apply(t, gadget("none", "kube-team", "")+"---\n"+gadget("others", "kube-system", ", labels: {color: red}"))
	c.labelsAre(t, "", "-n", "kube-team", "gadget", "none")
	c.labelsAre(t, `{"color":"red"}`, "-n", "kube-system", "gadget", "others")

	c.Apply(t, builtIn)
	c.Until(t, kubectl.Lines(1), "-n", "team", "get", "pods", "-l", "app=plain", "-o", "name")
	// The controllers have made more than what was applied: ReplicaSets, Pods, ServiceAccounts.
	kinds := strings.Fields(c.Do(t, "api-resources", "--verbs=list,create", "-o", "name"))
	var own []string
	for _, kind := range kinds {
		if !strings.HasSuffix(kind, ".policy.test") {
			own = append(own, kind)
		}
	}
	if found := c.Do(t, "get", strings.Join(own, ","), "-A", "-l", skipCaching, "-o", "name"); found != "" {
		t.Errorf("objects of Kubernetes have the label: %s", found)
	}
	if names := c.Do(t, "get", strings.Join(own, ","), "-A", "--field-selector=metadata.name=plain", "-o", "name"); !kubectl.Lines(12)(names) {
		t.Errorf("of the 12 that were applied there are %s", names)
	}
}

// leftOut names a kind and a namespace in the ConfigMap.
func (c *cluster) leftOut(t *testing.T) {
	names := func(data string) {
		t.Helper()
		c.Do(t, "-n", "kube-system", "patch", "configmap", skipCaching, "--type=merge", "-p", `{"data":`+data+`}`)
	}
	labelsOf := func(manifest string) []string {
		return []string{"create", "--dry-run=server", "-f", c.file(t, manifest), "-o", "jsonpath={.metadata.labels}"}
	}
	const skip = `{"` + skipCaching + `":""}`
	region := "{apiVersion: policy.test/v1, kind: Region, metadata: {name: probe}}"
	c.Do(t, "create", "namespace", "left-out")
	names(`{"kinds":"others.policy.test, regions.policy.test","namespaces":"others, left-out"}`)
	c.Until(t, kubectl.Is(""), labelsOf(region)...)
	c.Until(t, kubectl.Is(""), labelsOf(gadget("probe", "left-out", ""))...)
	c.Until(t, kubectl.Is(skip), labelsOf(gadget("probe", "team", ""))...)
	names(`{"kinds":null,"namespaces":null}`)
	c.Until(t, kubectl.Is(skip), labelsOf(region)...)
	c.Until(t, kubectl.Is(skip), labelsOf(gadget("probe", "left-out", ""))...)
}

// administrators checks who puts the label on by hand and takes it off.
func (c *cluster) administrators(t *testing.T) {
	const skip = `{"` + skipCaching + `":""}`
	c.Do(t, "create", "clusterrole", "developer", "--verb=*", "--resource=gadgets.policy.test,configmaps")
	c.Do(t, "create", "clusterrolebinding", "developer", "--clusterrole=developer", "--user=developer")
	developer := func(args ...string) []string { return append([]string{"--as=developer"}, args...) }
	create := func(manifest string) []string { return developer("create", "-f", c.file(t, manifest)) }
	c.Until(t, kubectl.Is("yes"), developer("auth", "can-i", "create", "gadgets.policy.test", "-n", "team")...)

	// The policy gives it the label, and puts it back where it is left out.
	c.Do(t, create(gadget("developed", "team", ""))...)
	c.labelsAre(t, skip, "-n", "team", "gadget", "developed")
	c.Do(t, developer("-n", "team", "patch", "gadget", "developed", "--type=merge", "-p",
		`{"metadata":{"labels":{"color":"red"}},"spec":{"size":2}}`)...)
	c.Do(t, developer("-n", "team", "label", "gadget", "developed", skipCaching+"-")...)
	c.labelsAre(t, `{"color":"red","`+skipCaching+`":""}`, "-n", "team", "gadget", "developed")
	c.Do(t, developer("replace", "-f", c.file(t, gadget("developed", "team", "")))...)
	c.labelsAre(t, skip, "-n", "team", "gadget", "developed")

	// What the policy has left alone stays so.
	for what, args := range map[string][]string{
		"by an update":   developer("-n", "team", "label", "gadget", "before", skipCaching+"="),
		"by a creation":  create(gadget("developed", "kube-team", ", labels: {"+skipCaching+`: ""}`)),
		"with an update": developer("replace", "-f", c.file(t, gadget("before", "team", ", labels: {"+skipCaching+`: ""}`))),
	} {
		if refused := c.Fails(t, args...); !strings.Contains(refused, "only administrators") {
			t.Errorf("the label %s: %s", what, refused)
		}
	}
	c.labelsAre(t, "", "-n", "team", "gadget", "before")
	// Kubernetes' own kinds are seen whatever their labels are.
	c.Do(t, create("{apiVersion: v1, kind: ConfigMap, metadata: {name: developed, namespace: team, labels: {"+skipCaching+": \"\"}}}")...)

	// An administrator may do both.
	c.Do(t, "-n", "team", "label", "gadget", "before", skipCaching+"=")
	c.labelsAre(t, skip, "-n", "team", "gadget", "before")
	c.Do(t, "-n", "team", "label", "gadget", "before", skipCaching+"-")
	c.labelsAre(t, "", "-n", "team", "gadget", "before")
	c.Do(t, "-n", "team", "delete", "configmap", "developed")
}

// soon creates objects as soon as their definition is there: the policy does not wait for the kind's schema.
// HARIKUBE_DEFINITIONS is how often.
func (c *cluster) soon(t *testing.T) {
	for i := range setting.Number(t, "HARIKUBE_DEFINITIONS", 3) {
		kind := fmt.Sprintf("Soon%d", i)
		name := strings.ToLower(kind)
		c.Apply(t, definitionOf("policy.test", name+"s", kind, "Namespaced"))
		c.Established(t, name+"s.policy.test")
		// It is served a moment after that, with the policy or without.
		c.Until(t, kubectl.Lines(0), "-n", "team", "get", name+"s.policy.test", "-o", "name")
		c.Apply(t, fmt.Sprintf("{apiVersion: policy.test/v1, kind: %s, metadata: {name: first, namespace: team}}", kind))
		c.labelsAre(t, `{"`+skipCaching+`":""}`, "-n", "team", name, "first")
		c.Do(t, "delete", "crd", name+"s.policy.test", "--wait=false")
	}
}

// groups checks that the policy takes each group of a bare API server for one of Kubernetes' own.
func (c *cluster) groups(t *testing.T) {
	versions := strings.Fields(c.Do(t, "api-versions"))
	if len(versions) < 20 {
		t.Errorf("the API server has only %v", versions)
	}
	for _, version := range versions {
		group, _, found := strings.Cut(version, "/")
		if found && group != "policy.test" && strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") {
			t.Errorf("Kubernetes serves %s, which the policy takes for somebody else's", group)
		}
	}
}

// notInGraph checks what the garbage collector knows: objects with an owner, but for those with the label.
func (c *cluster) notInGraph(t *testing.T) {
	owned := func(name, namespace string) string {
		owner := c.Do(t, "-n", namespace, "get", "configmap", "kube-root-ca.crt", "-o", "jsonpath={.metadata.uid}")
		c.Apply(t, gadget(name, namespace,
			fmt.Sprintf(", ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: kube-root-ca.crt, uid: %s}]", owner)))
		return c.Do(t, "-n", namespace, "get", "gadget", name, "-o", "jsonpath={.metadata.uid}")
	}
	labelled := []string{owned("owned-1", "team"), owned("owned-2", "team")}
	plain := owned("owned", "kube-team")
	manager, err := c.plane.Process("kube-controller-manager")
	if err != nil {
		t.Fatal(err)
	}
	graphOf := []string{"--server=" + manager.URL, "get", "--raw", "/debug/controllers/garbage-collector-controller/graph"}
	// It looks for new kinds every 30 seconds; then the list has the labelled ones as well, or has not.
	graph := func() string {
		return c.Until(t, func(graph string) bool { return strings.Contains(graph, plain) }, graphOf...)
	}
	listed := graph()
	// What comes later it learns of by the watch; the last one says that the ones before have come.
	labelled = append(labelled, owned("owned-3", "team"))
	plain = owned("owned-later", "kube-team")
	for _, graph := range []string{listed, graph()} {
		for _, uid := range labelled {
			if strings.Contains(graph, uid) {
				t.Errorf("the garbage collector holds %s, which has the label:\n%s", uid, graph)
			}
		}
	}

	// Labels come and go: an object that gets the label is one that it forgets.
	c.Do(t, "-n", "kube-team", "label", "gadget", "owned-later", skipCaching+"=")
	c.Until(t, func(graph string) bool { return !strings.Contains(graph, plain) }, graphOf...)
}
