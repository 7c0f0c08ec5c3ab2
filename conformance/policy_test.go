package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"harikube.io/conformance/kubectl"
	"harikube.io/conformance/setting"
	"harikube.io/controlplane"
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

// developerRole is that of somebody who may write custom resources, and not the policy.
const developerRole = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: developer}
rules:
- {verbs: ["*"], apiGroups: [""], resources: [configmaps]}
- {verbs: ["*"], apiGroups: [policy.test, gateway.networking.k8s.io, apiextensions.k8s.io, apiregistration.k8s.io], resources: ["*"]}
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
			c.Apply(t, developerRole)
			c.Do(t, "create", "clusterrolebinding", "developer", "--clusterrole=developer", "--user=developer")
			c.Until(t, kubectl.Is("yes"), developer("auth", "can-i", "create", "gadgets.policy.test", "-n", "team")...)

			c.Do(t, "apply", "-f", policyFile)
			c.awaitPolicy(t)
			if applied := c.Do(t, "apply", "-f", policyFile); strings.Contains(applied, "created") || strings.Contains(applied, "configured") {
				t.Errorf("applying it again: %s", applied)
			}
			t.Run("custom resources", c.labelled)
			t.Run("left alone", c.leftAlone)
			t.Run("left out by name", c.leftOut)
			t.Run("by administrators alone", c.administrators)
			t.Run("groups of others under k8s.io", c.approved)
			t.Run("definitions and their status", c.definitions)
			t.Run("while the ConfigMap changes", c.flapping)
			t.Run("soon after the definition", c.soon)
			t.Run("garbage collector", c.notInGraph)
			// The last: an API server that has been without the binding does not see what becomes of the ConfigMap.
			t.Run("with a part missing", c.missing)
		})
	}
}

// developer is a command of somebody who is no administrator.
func developer(args ...string) []string { return append([]string{"--as=developer"}, args...) }

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
	// Nor has it by the hand of those who are no administrators.
	byHand := ", labels: {" + skipCaching + `: "yes"}`
	byDeveloper := func(manifest string) string { return c.Do(t, developer(labelsOf(manifest)...)...) }
	if got := byDeveloper("{apiVersion: policy.test/v1, kind: Region, metadata: {name: probe" + byHand + "}}"); got != "" {
		t.Errorf("a kind that is left out gets the labels %s", got)
	}
	if got := byDeveloper(gadget("probe", "left-out", byHand)); got != "" {
		t.Errorf("in a namespace that is left out there are the labels %s", got)
	}
	names(`{"kinds":null,"namespaces":null}`)
	c.Until(t, kubectl.Is(skip), labelsOf(region)...)
	c.Until(t, kubectl.Is(skip), labelsOf(gadget("probe", "left-out", ""))...)
}

// administrators checks who puts the label on by hand and takes it off.
func (c *cluster) administrators(t *testing.T) {
	const skip = `{"` + skipCaching + `":""}`
	create := func(manifest string) []string { return developer("create", "-f", c.file(t, manifest)) }

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
		"with an update": developer("replace", "-f", c.file(t, gadget("before", "team", ", labels: {"+skipCaching+`: ""}`))),
	} {
		if refused := c.Fails(t, args...); !strings.Contains(refused, "only administrators") {
			t.Errorf("the label %s: %s", what, refused)
		}
	}
	c.labelsAre(t, "", "-n", "team", "gadget", "before")
	c.Do(t, create(gadget("developed", "kube-team", ", labels: {color: red, "+skipCaching+`: ""}`))...)
	c.labelsAre(t, `{"color":"red"}`, "-n", "kube-team", "gadget", "developed")
	c.Do(t, developer("apply", "--server-side", "-f", c.file(t, gadget("applied", "kube-team", ", labels: {"+skipCaching+`: "yes"}`)))...)
	c.labelsAre(t, "", "-n", "kube-team", "gadget", "applied")
	c.Do(t, create(gadget("labelled", "team", ", labels: {"+skipCaching+`: "yes"}`))...)
	c.labelsAre(t, `{"`+skipCaching+`":"yes"}`, "-n", "team", "gadget", "labelled")
	// Kubernetes' own kinds are seen whatever their labels are.
	c.Do(t, create("{apiVersion: v1, kind: ConfigMap, metadata: {name: developed, namespace: team, labels: {"+skipCaching+": \"\"}}}")...)

	// An administrator may do all of this.
	c.Apply(t, gadget("by-hand", "kube-team", ", labels: {"+skipCaching+`: "yes"}`))
	c.labelsAre(t, `{"`+skipCaching+`":"yes"}`, "-n", "kube-team", "gadget", "by-hand")
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

// approved checks a group that ends with .k8s.io and is not one of Kubernetes: its kinds have a definition.
func (c *cluster) approved(t *testing.T) {
	const skip = `{"` + skipCaching + `":""}`
	c.Apply(t, strings.Replace(definitionOf("gateway.networking.k8s.io", "routes", "Route", "Namespaced"), "metadata: {",
		`metadata: {annotations: {api-approved.kubernetes.io: "unapproved, for a test"}, `, 1))
	c.Established(t, "routes.gateway.networking.k8s.io")
	c.Until(t, kubectl.Lines(0), "-n", "team", "get", "routes", "-o", "name")
	route := func(name, namespace string) string {
		return fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/v1, kind: Route, metadata: {name: %s, namespace: %s}}", name, namespace)
	}
	c.Do(t, developer("create", "-f", c.file(t, route("one", "team")))...)
	c.labelsAre(t, skip, "-n", "team", "route", "one")
	c.Do(t, developer("-n", "team", "label", "route", "one", skipCaching+"-")...)
	c.labelsAre(t, skip, "-n", "team", "route", "one")
	c.Do(t, developer("create", "-f", c.file(t, route("one", "kube-team")))...)
	c.refused(t, "-n", "kube-team", "label", "route", "one", skipCaching+"=")
	c.labelsAre(t, "", "-n", "kube-team", "route", "one")
}

// refused checks that somebody who is no administrator may not put the label on.
func (c *cluster) refused(t *testing.T, args ...string) {
	t.Helper()
	if message := c.Fails(t, developer(args...)...); !strings.Contains(message, "only administrators") {
		t.Errorf("%v: %s", args, message)
	}
}

// definitions checks the kinds of Kubernetes that the label hides: they get no label, and keep the one they have.
func (c *cluster) definitions(t *testing.T) {
	const on, off = `{"metadata":{"labels":{"` + skipCaching + `":"yes"}}}`, `{"metadata":{"labels":null}}`
	patch := func(object []string, patch string, more ...string) []string {
		return slices.Concat([]string{"patch", "--type=merge", "-p", patch}, object, more)
	}
	labelOf := func(object []string) string {
		t.Helper()
		return c.Do(t, append([]string{"get", "-o", "jsonpath={.metadata.labels." + skipCaching + "}"}, object...)...)
	}
	c.Do(t, developer("create", "-f", c.file(t, strings.Replace(definitionOf("policy.test", "labels", "Label", "Cluster"),
		"metadata: {", "metadata: {labels: {"+skipCaching+`: "yes"}, `, 1)))...)
	definition, service := []string{"crd", "labels.policy.test"}, []string{"apiservice", "v1.policy.test"}
	if got := labelOf(definition); got != "" {
		t.Errorf("a definition that a developer creates has the label %s", got)
	}
	for _, object := range [][]string{definition, service} {
		c.refused(t, patch(object, on)...)
		// The status of an APIService does not carry labels: that is no error.
		if object[0] == "crd" {
			c.refused(t, patch(object, on, "--subresource=status")...)
		} else {
			c.Do(t, developer(patch(object, on, "--subresource=status")...)...)
		}
		if got := labelOf(object); got != "" {
			t.Errorf("%v has the label %s from a developer", object, got)
		}
		c.Do(t, patch(object, on)...)
		for _, more := range [][]string{nil, {"--subresource=status"}} {
			c.Do(t, developer(patch(object, off, more...)...)...)
			if got := labelOf(object); got != "yes" {
				t.Errorf("%v has the label %q after a developer has left it out %v", object, got, more)
			}
		}
	}
	c.Do(t, developer("replace", "-f", c.file(t, definitionOf("policy.test", "labels", "Label", "Cluster")))...)
	if got := labelOf(definition); got != "yes" {
		t.Errorf("the definition has the label %q after a developer has replaced it", got)
	}
	c.Do(t, patch(service, `{"metadata":{"labels":{"`+skipCaching+`":null}}}`)...)
	c.Do(t, "delete", "crd", "labels.policy.test", "--wait=false")
}

// flapping checks that a creation is not refused while what is left out changes.
func (c *cluster) flapping(t *testing.T) {
	send := c.asker(t)
	const configMap = "/api/v1/namespaces/kube-system/configmaps/" + skipCaching
	leaveOut := func(kinds string) {
		status, err := send(http.MethodPatch, configMap, `{"data":{"kinds":`+kinds+`}}`,
			http.Header{"Content-Type": {"application/merge-patch+json"}})
		if err != nil || status != http.StatusOK {
			t.Errorf("changing the ConfigMap: %d, %v", status, err)
		}
	}
	end := time.Now().Add(4 * time.Second)
	var group sync.WaitGroup
	statuses := make([]map[int]int, 3)
	for i := range statuses {
		statuses[i] = map[int]int{}
		group.Go(func() {
			for time.Now().Before(end) {
				status, err := send(http.MethodPost, "/apis/policy.test/v1/namespaces/team/gadgets?dryRun=All",
					`{"apiVersion":"policy.test/v1","kind":"Gadget","metadata":{"generateName":"plain-"}}`,
					http.Header{"Content-Type": {"application/json"}, "Impersonate-User": {"developer"}})
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i][status]++
			}
		})
	}
	for i := 0; time.Now().Before(end); i++ {
		leaveOut([]string{`"gadgets.policy.test"`, `""`}[i%2])
	}
	group.Wait()
	for _, of := range statuses {
		if len(of) != 1 || of[http.StatusCreated] == 0 {
			t.Errorf("the creations were answered with %v", statuses)
			break
		}
	}
	leaveOut("null")
	c.awaitPolicy(t)
}

// missing checks that a part that is not there, such as the ConfigMap, lets everybody go on with their work.
func (c *cluster) missing(t *testing.T) {
	parts := strings.Fields(c.Do(t, "get", "-o", "name", "-f", policyFile))
	if len(parts) != 7 {
		t.Errorf("the manifest has %v", parts)
	}
	byHand := ", labels: {" + skipCaching + `: ""}`
	plain, labelled := c.file(t, gadget("probe", "team", "")), c.file(t, gadget("probe", "team", byHand))
	without, with := c.file(t, gadget("missing", "team", "")), c.file(t, gadget("missing", "team", byHand))
	c.Do(t, "create", "-f", with)
	// The work of a developer for as long as the API server takes to learn of policies that have gone, a second at most.
	work := func() {
		t.Helper()
		for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
			for _, file := range []string{plain, labelled} {
				c.Do(t, developer("create", "--dry-run=server", "-f", file)...)
			}
			c.Do(t, developer("-n", "team", "patch", "gadget", "missing", "--type=merge", "-p",
				fmt.Sprintf(`{"spec":{"size":%d}}`, time.Now().UnixNano()))...)
			c.Do(t, developer("replace", "-f", without)...)
			c.Do(t, "replace", "-f", with)
		}
	}
	remove := func(part string) {
		t.Helper()
		namespace := "default" // of those that have none
		if strings.HasPrefix(part, "configmap/") {
			namespace = "kube-system"
		}
		c.Do(t, "-n", namespace, "delete", part)
	}
	again := func() {
		t.Helper()
		c.Do(t, "apply", "-f", policyFile)
		c.awaitPolicy(t)
	}
	// Without the ConfigMap nothing gets the label when it is created; what is there keeps it, and no more have it.
	remove("configmap/" + skipCaching)
	c.Until(t, kubectl.Is(""), "create", "--dry-run=server", "-f", plain, "-o", "jsonpath={.metadata.labels}")
	work()
	c.refused(t, "-n", "team", "label", "gadget", "before", skipCaching+"=")
	c.Do(t, developer("replace", "-f", without)...)
	c.labelsAre(t, `{"`+skipCaching+`":""}`, "-n", "team", "gadget", "missing")
	again()

	// Everything goes, from the last to the first and the other way round. Before 1.37 an API server that has been
	// without the binding, and with it has seen the ConfigMap go, would not see that one any more.
	for range 2 {
		slices.Reverse(parts)
		for _, part := range parts {
			remove(part)
			work()
		}
		again()
	}
}

// TestPolicyGroups compares the groups that the policies leave alone with those of an API server that serves
// all it has.
func TestPolicyGroups(t *testing.T) {
	c := beside(t, "policy-groups", controlplane.HariKube{})
	c.apiServerArgs = []string{"--runtime-config=api/all=true",
		"--feature-gates=AllAlpha=true,AllBeta=true,SizeBasedListCostEstimate=false"}
	c.start(t)
	t.Log(c.Do(t, "version"))
	c.Do(t, "apply", "-f", policyFile)
	// What the label hides is not left alone.
	hidden := []string{"apiextensions.k8s.io", "apiregistration.k8s.io"}
	served := []string{"lifecycle.k8s.io"} // from 1.37 on
	for version := range strings.FieldsSeq(c.Do(t, "api-versions")) {
		group, _, found := strings.Cut(version, "/")
		if !found {
			group = ""
		}
		if !slices.Contains(hidden, group) {
			served = append(served, group)
		}
	}
	slices.Sort(served)
	served = slices.Compact(served)
	for _, policy := range []string{"mutatingadmissionpolicy/skip-controller-manager-metadata-caching",
		"mutatingadmissionpolicy/keep-controller-manager-metadata-caching",
		"validatingadmissionpolicy/skip-controller-manager-metadata-caching"} {
		var listed []string
		groups := c.Do(t, "get", policy, "-o", "jsonpath={.spec.matchConstraints.excludeResourceRules[0].apiGroups}")
		if err := json.Unmarshal([]byte(groups), &listed); err != nil {
			t.Fatal(err)
		}
		slices.Sort(listed)
		if !slices.Equal(listed, served) {
			t.Errorf("%s leaves alone %q, and Kubernetes has %q", policy, listed, served)
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
