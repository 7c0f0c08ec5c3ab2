package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

var update = flag.Bool("update", false, "write the golden files anew")

// ofTheTests are the settings of the golden files.
var ofTheTests = settings{version: "v0.0.0-dev", registry: "quay.io/harikube-jvm", kubernetes: "1.37"}

var read = sync.OnceValues(func() (sources, error) { return readSources(root) })

func theSources(t *testing.T) sources {
	t.Helper()
	s, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func generated(t *testing.T, s sources, settings settings) map[string][]byte {
	t.Helper()
	files, err := generate(s, settings)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]byte{}
	for _, file := range files {
		if _, twice := byName[file.name]; twice {
			t.Errorf("%s is written twice", file.name)
		}
		byName[file.name] = file.data
	}
	return byName
}

var once = sync.OnceValues(func() ([]file, error) {
	s, err := read()
	if err != nil {
		return nil, err
	}
	return generate(s, ofTheTests)
})

// written is everything, as the golden files have it.
func written(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := once()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]byte{}
	for _, file := range files {
		byName[file.name] = file.data
	}
	return byName
}

// golden says which files are kept, to see in a change of the sources what it changes: all but the archive, and what is
// there already.
func golden(name string) bool {
	return filepath.Ext(name) != ".tgz" && !strings.HasPrefix(name, "kustomize/") && name != "monitoring/alerts.yaml" &&
		name != "monitoring/dashboard.json" && name != "skip-controller-manager-metadata-caching.yaml" && name != "workload-low.yaml"
}

// TestGolden compares what is generated with manifests/golden, which is not edited by hand: `make manifests-golden`.
func TestGolden(t *testing.T) {
	const folder = "../golden"
	files := written(t)
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return !golden(name) })
	if *update {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			path := filepath.Join(folder, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := map[string][]byte{}
	if err := readFolder(kept, os.DirFS(folder), ".", func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if len(files) != len(kept) {
		t.Errorf("generated are %v, and golden %v", slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(kept)))
	}
	for name, data := range files {
		if line, want, got := firstDifference(kept[name], data); line > 0 {
			t.Errorf("%s: line %d is %q, in manifests/golden %q (`make manifests-golden`, and look at the difference)", name, line, got, want)
		}
	}
}

// firstDifference returns a line number, or 0.
func firstDifference(a, b []byte) (line int, inA, inB string) {
	if bytes.Equal(a, b) {
		return 0, "", ""
	}
	linesA, linesB := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range max(len(linesA), len(linesB)) {
		lineOf := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "<end>"
		}
		if lineOf(linesA) != lineOf(linesB) {
			return i + 1, lineOf(linesA), lineOf(linesB)
		}
	}
	return len(linesA), "", ""
}

// TestSameBytes generates twice.
func TestSameBytes(t *testing.T) {
	first, second := written(t), generated(t, theSources(t), ofTheTests)
	if len(first) == 0 || !maps.EqualFunc(first, second, bytes.Equal) {
		t.Error("two runs differ")
	}
}

// TestEverySourceCounts changes each source, and sees it in a golden file or in the archive.
func TestEverySourceCounts(t *testing.T) {
	changes := map[string]struct{ from, to string }{
		"manifests/vcluster.yaml":                                 {"--watch-cache=false", "--watch-cache=true"},
		"manifests/postgres.yaml":                                 {"postgres:18.1", "postgres:18.2"},
		"manifests/templates/_harikube.tpl":                       {"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"},
		"manifests/templates/vcluster.yaml":                       {`"automountServiceAccountToken" false`, `"automountServiceAccountToken" true`},
		"manifests/templates/namespace.yaml":                      {"warn: restricted", "warn: baseline"},
		"manifests/templates/network.yaml":                        {"port: 8443", "port: 8444"},
		"manifests/templates/metrics.yaml":                        {"port: 8080", "port: 8081"},
		"manifests/monitoring/alerts.yaml":                        {"> 0.9", "> 0.8"},
		"manifests/monitoring/dashboard.json":                     {"Calls per second", "Calls in a second"},
		"release/chart/values.yaml":                               {"cpu: 100m", "cpu: 200m"},
		"release/chart/Chart.yaml":                                {"apiVersion: v2", "apiVersion: v2\nannotations: {a: b}"},
		"release/chart/NOTES.txt":                                 {"vcluster connect", "vcluster  connect"},
		"release/chart/values.schema.json":                        {`"minLength": 1`, `"minLength": 2`},
		"images/kubernetes/1.37/go.mod":                           {"k8s.io/kubernetes v1.37.", "k8s.io/kubernetes v1.37.9"},
		"manifests/skip-controller-manager-metadata-caching.yaml": {"failurePolicy: Ignore", "failurePolicy: Fail"},
		"manifests/workload-low.yaml":                             {"queueLengthLimit: 250", "queueLengthLimit: 251"},
	}
	s := theSources(t)
	before := written(t)
	for name := range s.files {
		change, known := changes[name]
		if !known {
			if strings.HasPrefix(name, "images/") { // of the other minor versions
				continue
			}
			t.Errorf("%s is a source without a test", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			changed := s
			changed.files = maps.Clone(s.files)
			data := strings.Replace(string(s.files[name]), change.from, change.to, 1)
			if data == string(s.files[name]) {
				t.Fatalf("%q is not in it", change.from)
			}
			changed.files[name] = []byte(data)
			if maps.EqualFunc(before, generated(t, changed, ofTheTests), bytes.Equal) {
				t.Error("a change of it changes nothing")
			}
		})
	}
	for name := range changes {
		if _, there := s.files[name]; !there {
			t.Errorf("there is no source %s any more", name)
		}
	}
}

// TestSettings checks that version, registry and Kubernetes come from outside, and what is refused.
func TestSettings(t *testing.T) {
	s := theSources(t)
	for _, minor := range []string{"1.34", "1.35", "1.36", "1.37"} {
		files := generated(t, s, settings{version: "v1.2.3", registry: "registry.example.com/team", kubernetes: minor})
		version, err := s.kubernetes(minor)
		if err != nil || !strings.HasPrefix(version, "v"+minor+".") {
			t.Fatalf("Kubernetes %s is %q, %v", minor, version, err)
		}
		images := string(files["images.txt"])
		for _, image := range []string{"registry.example.com/team/harikube:v1.2.3", "registry.example.com/team/kubernetes:" + version + "-v1.2.3"} {
			if !strings.Contains(images, image+"\n") {
				t.Errorf("%s is not in images.txt: %s", image, images)
			}
		}
		for name, data := range files {
			if text := string(data); filepath.Ext(name) != ".tgz" && (strings.Contains(text, "v0.0.0") || strings.Contains(text, "quay.io") ||
				strings.ContainsRune(text, '@') && strings.Contains(text, "@REGISTRY@")) {
				t.Errorf("%s has a setting of another version", name)
			}
		}
	}
	for what, settings := range map[string]settings{
		"version without v": {"1.2.3", "r", "1.37"},
		"version":           {"v1.2", "r", "1.37"},
		"no version":        {"", "r", "1.37"},
		"minor version":     {"v1.2.3", "r", "1.33"},
	} {
		if _, err := generate(s, settings); err == nil {
			t.Errorf("%s %q is taken", what, settings)
		}
	}
}

// TestReleases checks that the manifests of releases, which are kept to upgrade from, are of their version, and as the tag
// has them.
func TestReleases(t *testing.T) {
	const folder = "../releases"
	versions, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		t.Skip("SKIPPED: there is no release yet in manifests/releases")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions {
		if !version.IsDir() || strings.HasPrefix(version.Name(), ".") {
			continue
		}
		t.Run(version.Name(), func(t *testing.T) {
			images, err := os.ReadFile(filepath.Join(folder, version.Name(), "images.txt"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(images), "/harikube:"+version.Name()+"\n") {
				t.Errorf("its images are %s", images)
			}
			git := func(args ...string) error {
				return exec.Command("git", append([]string{"-C", folder}, args...)...).Run()
			}
			tag := "refs/tags/" + version.Name()
			if git("rev-parse", "--quiet", "--verify", tag) != nil {
				t.Skipf("SKIPPED: there is no tag %s here to compare with", version.Name())
			}
			if err := git("diff", "--quiet", tag, "--", version.Name()); err != nil {
				t.Errorf("they are not as the tag has them: %v", err)
			}
		})
	}
}
