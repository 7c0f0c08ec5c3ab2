package conformance

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harikube.io/conformance/kubectl"
	"harikube.io/conformance/postgres"
	"harikube.io/controlplane"
)

// TestKubernetes is a day in the life of a cluster on each store. etcd is there to test the test.
func TestKubernetes(t *testing.T) {
	stores := maps.Clone(databases)
	stores["etcd"] = func(*testing.T) controlplane.Store { return controlplane.Etcd{} }
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			// Kept after the test, logs and all; the next one starts anew.
			c := cluster{data: filepath.Join(build, "test-data", name), store: store(t)}
			if err := os.RemoveAll(c.data); err != nil {
				t.Fatal(err)
			}
			c.start(t)
			t.Run("namespace", c.namespace)
			t.Run("deployment", c.deployment)
			t.Run("custom resources", c.customResources)
			t.Run("selectors and pages", c.selectorsAndPages)
			t.Run("watch", c.watch)
			t.Run("service account token", c.serviceAccountToken)
			t.Run("delete a namespace", c.deleteNamespace)
			t.Run("restart", c.restart)
		})
	}
}

// databases are HariKube on each of its databases.
var databases = map[string]func(*testing.T) controlplane.Store{
	"sqlite": func(*testing.T) controlplane.Store { return controlplane.HariKube{} },
	"postgres": func(t *testing.T) controlplane.Store {
		return controlplane.HariKube{Endpoint: postgres.Database(t, bin)}
	},
}

// build is where `make` puts everything, and bin where it puts the programs.
var (
	build = filepath.Join("..", "build")
	bin   = filepath.Join(build, "bin")
)

// cluster is a control plane and what can be asked of it.
type cluster struct {
	data  string
	store controlplane.Store
	plane *controlplane.ControlPlane
	kubectl.Kubectl
	apiServerArgs, managerArgs []string
	port                       int // 0: the usual one, or the next
}

// beside is a cluster that is tested while others are.
func beside(t *testing.T, data string, store controlplane.Store) cluster {
	t.Helper()
	t.Parallel()
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{data: filepath.Join(build, "test-data", data), store: store, port: port}
	if err := os.RemoveAll(c.data); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) start(t *testing.T) {
	t.Helper()
	plane, err := controlplane.Start(t.Context(), controlplane.Config{
		Bin: bin, Data: c.data, Store: c.store, Log: func(line string) { t.Log(line) },
		Port: c.port, APIServerArgs: c.apiServerArgs, ControllerManagerArgs: c.managerArgs,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.plane = plane
	c.Kubectl = kubectl.New(bin, plane.Kubeconfig, filepath.Join(c.data, "kubectl-cache"))
	t.Cleanup(func() { plane.Stop(context.Background()) })
}

func (c *cluster) namespace(t *testing.T) {
	c.Do(t, "create", "namespace", "team")
	c.Until(t, kubectl.Is("Active"), "get", "namespace", "team", "-o", "jsonpath={.status.phase}")
	if message := c.Fails(t, "create", "namespace", "team"); !strings.Contains(message, "AlreadyExists") {
		t.Errorf("creating it twice: %s", message)
	}
	// The controller manager gives each namespace its account and certificate.
	c.Until(t, kubectl.Is("default"), "-n", "team", "get", "serviceaccounts", "-o", "jsonpath={.items[*].metadata.name}")
	c.Until(t, kubectl.Is("kube-root-ca.crt"), "-n", "team", "get", "configmaps", "-o", "jsonpath={.items[*].metadata.name}")
}

// deployment checks the chain of controllers. There is no scheduler: the Pods stay Pending.
func (c *cluster) deployment(t *testing.T) {
	c.Do(t, "-n", "team", "create", "deployment", "web", "--image=example.com/web:1", "--replicas=3")
	replicaSet := c.Until(t, kubectl.Lines(1), "-n", "team", "get", "replicasets", "-l", "app=web", "-o", "name")
	pods := []string{"-n", "team", "get", "pods", "-l", "app=web", "--field-selector", "status.phase=Pending", "-o", "name"}
	c.Until(t, kubectl.Lines(3), pods...)
	owners := c.Do(t, "-n", "team", "get", "pods", "-l", "app=web",
		"-o", `jsonpath={range .items[*]}{.metadata.ownerReferences[0].name}{"\n"}{end}`)
	name := strings.TrimPrefix(replicaSet, "replicaset.apps/")
	if want := strings.TrimSpace(strings.Repeat(name+"\n", 3)); owners != want {
		t.Errorf("the Pods belong to %q, not to %q", owners, want)
	}

	c.Do(t, "-n", "team", "scale", "deployment", "web", "--replicas=5")
	c.Until(t, kubectl.Lines(5), pods...)
	c.Do(t, "-n", "team", "scale", "deployment", "web", "--replicas=1")
	c.Until(t, kubectl.Lines(1), pods...)

	// The garbage collector takes what a deleted owner leaves.
	c.Do(t, "-n", "team", "create", "deployment", "gone", "--image=example.com/web:1", "--replicas=2")
	c.Until(t, kubectl.Lines(2), "-n", "team", "get", "pods", "-l", "app=gone", "-o", "name")
	c.Do(t, "-n", "team", "delete", "deployment", "gone")
	c.Until(t, kubectl.Lines(0), "-n", "team", "get", "replicasets,pods", "-l", "app=gone", "-o", "name")
}

func (c *cluster) customResources(t *testing.T) {
	c.Apply(t, widgets)
	c.Established(t, "widgets.test.harikube.io")
	// The condition is there a moment before the resource is served.
	c.Until(t, kubectl.Lines(0), "-n", "team", "get", "widgets", "-o", "name")

	c.Apply(t, widget("one", "red", 1))
	first := c.version(t, "one")
	c.Apply(t, widget("one", "red", 2))
	second := c.version(t, "one")
	c.Do(t, "-n", "team", "patch", "widget", "one", "--type=merge", "-p", `{"spec":{"size":3}}`)
	third := c.version(t, "one")
	if first == second || second == third {
		t.Errorf("the resource version stays: %s, %s, %s", first, second, third)
	}
	if got := c.Do(t, "-n", "team", "get", "widget", "one", "-o", "jsonpath={.spec.size} {.metadata.generation}"); got != "3 3" {
		t.Errorf("size and generation after two changes: %s, not 3 3", got)
	}
	c.Do(t, "-n", "team", "patch", "widget", "one", "--type=merge", "-p", `{"spec":{"size":3}}`)
	if again := c.version(t, "one"); again != third {
		t.Errorf("a change of nothing made version %s of %s", again, third)
	}
	stale := c.Fails(t, "-n", "team", "patch", "widget", "one", "--type=merge",
		"-p", fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"size":4}}`, second))
	if !strings.Contains(stale, "Conflict") && !strings.Contains(stale, "modified") {
		t.Errorf("a change of an old version: %s", stale)
	}
	if message := c.Fails(t, "-n", "team", "get", "widget", "none"); !strings.Contains(message, "NotFound") {
		t.Errorf("one that is not there: %s", message)
	}
}

func (c *cluster) selectorsAndPages(t *testing.T) {
	var manifests []string
	for i := range 6 {
		manifests = append(manifests, widget(fmt.Sprintf("many-%d", i), []string{"blue", "green"}[i%2], i))
	}
	c.Apply(t, strings.Join(manifests, "---\n"))
	for _, test := range []struct {
		want int
		args []string
	}{
		{3, []string{"-l", "color=blue"}},
		{4, []string{"-l", "color!=blue"}}, // one is red
		{6, []string{"-l", "color in (blue,green)"}},
		{7, []string{"-l", "color"}},
		{0, []string{"-l", "!color"}},
		{1, []string{"--field-selector", "metadata.name=one"}},
		{1, []string{"--field-selector", "spec.size=4"}},
		{6, []string{"--field-selector", "spec.size!=4"}},
		{7, []string{"--chunk-size", "2"}},
		{3, []string{"--chunk-size", "1", "-l", "color=blue"}},
	} {
		out := c.Do(t, append([]string{"-n", "team", "get", "widgets", "-o", "name"}, test.args...)...)
		if !kubectl.Lines(test.want)(out) {
			t.Errorf("%q should find %d:\n%s", test.args, test.want, out)
		}
	}
}

func (c *cluster) watch(t *testing.T) {
	all := c.Watch(t, "-n", "team", "get", "widgets", "-w", "-o", "name", "--output-watch-events", "--field-selector=metadata.name=seen")
	blue := c.Watch(t, "-n", "team", "get", "widgets", "-w", "--no-headers", "--output-watch-events", "-l", "color=blue")
	initial := map[string]bool{}
	for range 3 {
		initial[strings.Join(strings.Fields(blue.Next(t))[:2], " ")] = true
	}
	if !initial["ADDED many-0"] || !initial["ADDED many-2"] || !initial["ADDED many-4"] {
		t.Fatalf("the watch of the blue ones starts with %v", initial)
	}
	next := func(want string) {
		t.Helper()
		if got := strings.Join(strings.Fields(blue.Next(t))[:2], " "); got != want {
			t.Errorf("the watch of the blue ones shows %q, not %q", got, want)
		}
	}
	c.Apply(t, widget("seen", "green", 1))
	if got := all.Next(t); !strings.Contains(got, "seen") {
		t.Errorf("the watch shows %q", got)
	}
	c.Do(t, "-n", "team", "label", "--overwrite", "widget", "seen", "color=blue")
	next("ADDED seen")
	c.Do(t, "-n", "team", "patch", "widget", "seen", "--type=merge", "-p", `{"spec":{"size":2}}`)
	next("MODIFIED seen")
	c.Do(t, "-n", "team", "label", "--overwrite", "widget", "seen", "color=red")
	next("DELETED seen")
	c.Do(t, "-n", "team", "delete", "widget", "many-0")
	next("DELETED many-0")
}

func (c *cluster) serviceAccountToken(t *testing.T) {
	c.Do(t, "-n", "team", "create", "serviceaccount", "robot")
	token := c.Do(t, "-n", "team", "create", "token", "robot")
	if who := c.whoami(t, token); who != robot {
		t.Errorf("the token belongs to %q", who)
	}
}

const robot = "system:serviceaccount:team:robot"

// whoami returns whom the API server takes the bearer of the token for.
func (c *cluster) whoami(t *testing.T, token string) string {
	t.Helper()
	server := c.Do(t, "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
	// Without the kubeconfig: its certificate would win over the token.
	bare := kubectl.New(bin, os.DevNull, t.TempDir())
	return bare.Do(t, "--server="+server, "--certificate-authority="+filepath.Join(c.data, "pki", "ca.crt"),
		"--token="+token, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
}

func (c *cluster) deleteNamespace(t *testing.T) {
	c.Do(t, "create", "namespace", "brief")
	c.Do(t, "-n", "brief", "create", "deployment", "web", "--image=example.com/web:1", "--replicas=2")
	c.Until(t, kubectl.Lines(2), "-n", "brief", "get", "pods", "-o", "name")
	c.Apply(t, strings.ReplaceAll(widget("inside", "red", 1), "namespace: team", "namespace: brief"))
	c.Do(t, "delete", "namespace", "brief", "--timeout=60s")
	if left := c.Do(t, "get", "pods,replicasets,deployments,widgets,configmaps", "-A",
		"--field-selector=metadata.namespace=brief", "-o", "name"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// restart checks that everything is still there, unchanged, and that work goes on.
func (c *cluster) restart(t *testing.T) {
	// Status is not compared: controllers may write it again.
	everything := []string{"-n", "team", "get", "deployments,replicasets,pods,widgets,configmaps,serviceaccounts",
		"-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.spec}{"\n"}{end}`}
	before := c.Do(t, everything...)
	version := c.version(t, "one")
	token := c.Do(t, "-n", "team", "create", "token", "robot")

	c.plane.Stop(t.Context())
	c.start(t)

	if after := c.Do(t, everything...); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if after := c.version(t, "one"); after != version {
		t.Errorf("version %s has become %s", version, after)
	}
	if who := c.whoami(t, token); who != robot {
		t.Errorf("a token from before the restart belongs to %q", who)
	}
	c.Do(t, "-n", "team", "scale", "deployment", "web", "--replicas=2")
	c.Until(t, kubectl.Lines(2), "-n", "team", "get", "pods", "-l", "app=web", "-o", "name")
	c.Do(t, "-n", "team", "delete", "widget", "one")
	c.Apply(t, widget("one", "red", 1))
	if c.version(t, "one") == version {
		t.Error("the resource version has not moved on")
	}
}

// version returns the resource version of a widget.
func (c *cluster) version(t *testing.T, name string) string {
	t.Helper()
	return c.Do(t, "-n", "team", "get", "widget", name, "-o", "jsonpath={.metadata.resourceVersion}")
}

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.harikube.io}
spec:
  group: test.harikube.io
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    selectableFields: [{jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}}}
`

func widget(name, color string, size int) string {
	return fmt.Sprintf(`
apiVersion: test.harikube.io/v1
kind: Widget
metadata: {name: %s, namespace: team, labels: {color: %s}}
spec: {size: %d}
`, name, color, size)
}
