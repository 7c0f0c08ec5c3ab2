package conformance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"harikube.io/conformance/kubectl"
	"harikube.io/controlplane"
)

// TestInstallAsTypedWithAStandInForTheNode types what README.md and docs/install.md tell a user to type, with kubectl and vCluster's own
// command line, into a folder with what a release has. Every block is typed, or is in the list below of those that are not.
//
// What stands in: for the host's node, standInNode; for vCluster in the pod, the Secret that it would write, and the host's own API as
// that of the virtual cluster; for the Prometheus Operator, its definitions.
func TestInstallAsTypedWithAStandInForTheNode(t *testing.T) {
	archive := theArchive(t)
	vcluster, err := filepath.Abs(filepath.Join(build, "e2e", "vcluster"))
	if err == nil {
		_, err = os.Stat(vcluster)
	}
	if err != nil {
		t.Fatalf("vCluster's command line is not built: `make build/e2e/vcluster`: %v", err)
	}
	c := beside(t, "install", controlplane.HariKube{})
	c.managerArgs = []string{"--node-monitor-grace-period=1h"}
	c.start(t)
	node := c.startNode(t, fmt.Sprintf("127.0.0.1:%d", c.port))
	t.Log("NO NODE HERE: a stand-in says that pods are ready, no container runs, and the API of the virtual cluster is the host's")
	c.Apply(t, definitionOf("monitoring.coreos.com", "servicemonitors", "ServiceMonitor", "Namespaced")+"---"+
		definitionOf("monitoring.coreos.com", "prometheusrules", "PrometheusRule", "Namespaced"))
	c.Established(t, "servicemonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com")
	u := newUser(t, c, archive, vcluster)

	t.Run("README", func(t *testing.T) {
		b := readBook(t, filepath.Join("..", "README.md"))
		chapter := func(i int) string { return b.take(t, "Install as a vCluster", i) }
		text := strings.Join(strings.Fields(b.text), " ")
		change := regexp.MustCompile("`(--\\S+)` becomes `(--\\S+)` and `(--\\S+)`").FindStringSubmatch(text)
		if change == nil {
			t.Fatal("the README does not say what is edited")
		}
		u.types(t, chapter(0))
		u.connects(t, chapter(1))
		u.types(t, chapter(2))
		u.isOnTheHost(t)
		u.Do(t, "get", "mutatingadmissionpolicies", skipCaching)
		u.edits(t, change[1], change[2:], chapter(3))
		u.Until(t, u.hasArgs(change[2:]...), storeArgs...)
		u.types(t, chapter(4))
		u.hasMonitoring(t)
		u.types(t, chapter(5))
		nothingIsLeft(t, u.Kubectl)
		b.isTyped(t, "Install as a vCluster")
	})

	t.Run("docs install.md", func(t *testing.T) {
		b := readBook(t, filepath.Join("..", "docs", "install.md"))
		change := regexp.MustCompile(`    - (--\S+)\n\nbecomes\n\n((?:    - --\S+\n)+)`).FindStringSubmatch(b.text)
		if change == nil {
			t.Fatal("it does not say what is edited")
		}
		lines := strings.Fields(strings.ReplaceAll(change[2], "    - ", ""))
		u.folder = u.home
		u.types(t, b.take(t, "", 0))
		u.types(t, b.take(t, "SQLite", 1))
		u.connects(t, b.take(t, "SQLite", 0))
		u.types(t, b.take(t, "Custom resources by the million", 0))
		u.types(t, b.take(t, "From the host", 0))
		u.Until(t, func(token string) bool { return token != "" }, "get", "secret", "remote-token", "-o", "jsonpath={.data.token}")
		u.types(t, "vcluster disconnect")
		u.isOnTheHost(t)
		u.edits(t, change[1], lines, b.take(t, "Another database", 0))
		u.types(t, b.take(t, "Another database", 1))
		u.Until(t, u.hasArgs(lines...), storeArgs...)
		u.types(t, b.take(t, "Metrics", 0))
		u.hasMonitoring(t)
		u.types(t, b.take(t, "Upgrade", 0))
		// The edit is undone, as it says.
		u.Until(t, u.hasArgs(change[1]), storeArgs...)
		u.types(t, b.take(t, "Uninstall", 0))
		nothingIsLeft(t, u.Kubectl)
		u.types(t, b.take(t, "PostgreSQL", 0))
		u.Until(t, u.hasArgs("--endpoint-file=/database/endpoint", "--datastore-password-file=/database/password"), storeArgs...)
		u.Do(t, "-n", "harikube", "get", "statefulset", "harikube-postgres")
		// A snapshot of the store wants containers that run.
		b.isTyped(t, "", "Another database 2", "Another database 3", "Another database 4")
	})
	if node.forwarded.Load() == 0 {
		t.Error("nothing has gone through the port-forward to the virtual cluster")
	}
}

// theArchive is that of the manifests, as a release has it.
func theArchive(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(build, "release", "harikube-manifests-v*.tar.gz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("there is not one archive of the manifests, but %v, %v: `make manifests-archive`", files, err)
	}
	return files[0]
}

// book is a document with blocks of commands, by the heading that they are under.
type book struct {
	text   string
	blocks map[string][]string
	typed  map[string]bool
}

func readBook(t *testing.T, file string) *book {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b := &book{text: string(text), blocks: map[string][]string{}, typed: map[string]bool{}}
	heading := ""
	var block []string
	in := false
	for line := range strings.Lines(b.text) {
		switch {
		case !in && strings.HasPrefix(line, "## "):
			heading = strings.TrimSpace(line[3:])
		case !in && line == "```sh\n":
			in, block = true, nil
		case in && line == "```\n":
			in = false
			b.blocks[heading] = append(b.blocks[heading], strings.Join(block, ""))
		case in:
			block = append(block, line)
		}
	}
	return b
}

func (b *book) take(t *testing.T, heading string, i int) string {
	t.Helper()
	if i >= len(b.blocks[heading]) {
		t.Fatalf("under %q there are %d blocks", heading, len(b.blocks[heading]))
	}
	b.typed[fmt.Sprint(heading, " ", i)] = true
	return b.blocks[heading][i]
}

// isTyped checks that every block was typed, of one chapter or, without its heading, of the whole document, but for those that are named.
func (b *book) isTyped(t *testing.T, chapter string, not ...string) {
	t.Helper()
	left := slices.Clone(not)
	for heading, blocks := range b.blocks {
		for i, block := range blocks {
			name := fmt.Sprint(heading, " ", i)
			named := slices.Contains(not, name)
			left = slices.DeleteFunc(left, func(other string) bool { return other == name })
			if (chapter == "" || chapter == heading) && b.typed[name] == named {
				t.Errorf("block %q is not typed, or is in spite of its place in the list:\n%s", name, block)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("there are no blocks %q", left)
	}
}

// user is somebody with a shell, kubectl, vcluster, and the archive of the manifests.
type user struct {
	kubectl.Kubectl // on the host, whatever the user's kubectl speaks to
	home, folder    string
	env             []string
	context         string // of the host
}

func newUser(t *testing.T, c cluster, archive, vcluster string) *user {
	t.Helper()
	home := t.TempDir()
	programs := filepath.Join(home, "bin")
	own, err := filepath.Abs(filepath.Join(bin, "kubectl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []error{
		os.MkdirAll(filepath.Join(home, ".vcluster"), 0o755), os.Mkdir(programs, 0o755),
		os.Symlink(own, filepath.Join(programs, "kubectl")), os.Symlink(vcluster, filepath.Join(programs, "vcluster")),
		// Where Docker runs, vcluster pulls an image for its port-forward.
		os.WriteFile(filepath.Join(programs, "docker"), []byte("#!/bin/sh\nexit 1\n"), 0o755),
		os.WriteFile(filepath.Join(home, ".vcluster", "config.json"), []byte(`{"telemetryDisabled": true}`), 0o600),
		os.WriteFile(filepath.Join(home, "kubeconfig"), []byte(c.Do(t, "config", "view", "--raw", "--flatten")), 0o600),
	} {
		if made != nil {
			t.Fatal(made)
		}
	}
	content, err := os.ReadFile(archive)
	if err == nil {
		err = os.WriteFile(filepath.Join(home, filepath.Base(archive)), content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(archive), "harikube-manifests-"), ".tar.gz")
	return &user{
		Kubectl: c.Kubectl, home: home, folder: home, context: c.Do(t, "config", "current-context"),
		env: append(os.Environ(), "HOME="+home, "PATH="+programs+":"+os.Getenv("PATH"), "KUBECONFIG="+filepath.Join(home, "kubeconfig"),
			"KUBERC=off", "VERSION="+version, "VCLUSTER_SKIP_VERSION_CHECK=true"),
	}
}

// shell is bash with what is typed; it is left in the folder that it ends in.
func (u *user) shell(t *testing.T, typed string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", typed+"\npwd >"+filepath.Join(u.home, "folder"))
	cmd.Dir, cmd.Env = u.folder, u.env
	return cmd
}

func (u *user) types(t *testing.T, block string) {
	t.Helper()
	out, err := u.shell(t, block).CombinedOutput()
	t.Logf("$ %s%s", strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n$ "), "\n"+string(out))
	if err != nil {
		t.Fatalf("%v", err)
	}
	folder, err := os.ReadFile(filepath.Join(u.home, "folder"))
	if err != nil {
		t.Fatal(err)
	}
	u.folder = strings.TrimSpace(string(folder))
}

// connects types a block that ends with `vcluster connect`, which stays in the foreground: what follows is typed into another shell.
// The block waits for the pod, and vcluster for the Secret, which vCluster writes when it is up.
func (u *user) connects(t *testing.T, block string) {
	t.Helper()
	if !strings.HasSuffix(block, "\nvcluster connect harikube -n harikube\n") {
		t.Fatalf("it does not end with vcluster connect:\n%s", block)
	}
	cmd := u.shell(t, "exec 2>&1\n"+block)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { // the Ctrl-C in that shell
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		<-ended
		t.Logf("$ %s%s", strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n$ "), "\n"+out.String())
	})
	u.Until(t, kubectl.Is("harikube"), "get", "namespaces", "harikube", "-o", "jsonpath={.metadata.name}")
	virtual := regexp.MustCompile(`server: \S+`).ReplaceAllString(u.Do(t, "config", "view", "--raw", "--flatten"), "server: https://localhost:8443")
	u.Apply(t, fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: vc-harikube, namespace: harikube}, data: {config: %s}}",
		base64.StdEncoding.EncodeToString([]byte(virtual))))
	u.With(u.env...).Until(t, func(context string) bool {
		select {
		case <-ended:
			t.Fatal("vcluster connect has ended")
		default:
		}
		return strings.HasPrefix(context, "vcluster_harikube_harikube_")
	}, "config", "current-context")
}

func (u *user) isOnTheHost(t *testing.T) {
	t.Helper()
	if context := u.With(u.env...).Do(t, "config", "current-context"); context != u.context {
		t.Errorf("the context is %s, and was %s", context, u.context)
	}
}

// edits types a block with `kubectl edit`, and makes one change in the editor.
func (u *user) edits(t *testing.T, old string, lines []string, block string) {
	t.Helper()
	if strings.TrimSpace(block) != "kubectl -n harikube edit statefulset harikube" {
		t.Fatalf("it is no edit: %s", block)
	}
	u.types(t, "export KUBE_EDITOR="+editor(t, u.home, old, lines)+"\n"+block)
}

// storeArgs are what the pod's store was started with, when the pod is ready.
var storeArgs = []string{
	"-n", "harikube", "get", "pod", "harikube-0", "-o",
	`jsonpath={.status.conditions[?(@.type=="Ready")].status} {.spec.containers[?(@.name=="harikube")].args}`,
}

// hasArgs: the endpoint is said by these lines, one after the other, and by no others.
func (u *user) hasArgs(lines ...string) func(string) bool {
	return func(out string) bool {
		return strings.HasPrefix(out, "True ") && strings.Contains(out, `"`+strings.Join(lines, `","`)+`"`) && strings.Count(out, "--endpoint") == 1
	}
}

func (u *user) hasMonitoring(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"servicemonitors", "prometheusrules", "configmaps -l grafana_dashboard"} {
		if found := u.Do(t, append([]string{"-n", "harikube", "get", "-o", "name"}, strings.Fields(kind)...)...); found == "" {
			t.Errorf("there are no %s", kind)
		}
	}
}
