package main

import (
	"bytes"
	"crypto/elliptic"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Tests of what was really built. make says where that is: `make test-release-built`, `make test-release-twice`, `make test-cosign`.

// builtTree is a tree in which `make images manifests` has built something.
func builtTree(t *testing.T) (*source, distOptions, minor) {
	t.Helper()
	root := os.Getenv("HARIKUBE_ROOT")
	if root == "" {
		t.Skip("HARIKUBE_ROOT names no tree in which something was built: no release was made of real images")
	}
	r, err := openRepository(root)
	must(t, err)
	version := os.Getenv("HARIKUBE_BUILT_VERSION")
	o := distOptions{
		root: root, version: version, images: "build/images", manifests: "build/manifests", bom: "build/release/server.cdx.json", lib: "build/lib",
		out: filepath.Join(t.TempDir(), "dist"), minors: []string{os.Getenv("HARIKUBE_BUILT_MINOR")}, anyRevision: true,
	}
	s := &source{repository: r, version: version}
	minors, err := (&dist{source: s, options: o}).findMinors()
	must(t, err)
	return s, o, minors[0]
}

// A release of the server's real images. `make test` compiles Kubernetes for one architecture only, so its image is a stand-in here;
// the real one is looked at below.
func TestBuilt(t *testing.T) {
	s, o, minor := builtTree(t)
	version := o.version
	stand := &repo{t, t.TempDir()}
	settings, err := (&dist{source: s}).readSettings()
	must(t, err)
	stand.image(imageOf{
		name: "kubernetes-" + minor.name, ref: settings["REGISTRY"] + "/kubernetes:" + minor.version + "-" + version, version: version,
		revision: s.commit, layers: kubernetesLayers(t),
	})
	for _, name := range []string{"harikube.tar", "harikube-linux-amd64.tar", "harikube-linux-arm64.tar"} {
		built, err := os.Open(s.path(filepath.Join(o.images, name)))
		must(t, err)
		_, _, err = writeFile(stand.path("build/images/"+name), s.time, func(w io.Writer) error {
			_, err := io.Copy(w, built)
			return err
		})
		must(t, err)
		must(t, built.Close())
	}
	o.images = stand.path("build/images")
	// Not of a clean tree, and of a version that is above none: the rest is as in `make release`.
	must(t, makeDist(s, o, t.Output()))
	p := newPair(t, newECDSA(t, elliptic.P256()), false)
	must(t, signCommand(o.out, p.key, "", t.Output()))
	must(t, verifyCommand(o.out, p.public, t.Output()))
	host := registryProcess(t) + "/team"
	must(t, pushCommand(o.out, host, p.public, t.Output()))
	must(t, pushSignaturesCommand(o.out, host, p.public, t.Output()))

	for _, name := range []string{"harikube-server-" + version + "-linux-amd64.tar.gz", "harikube-server-" + version + ".tar.gz"} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "a place")
			must(t, os.Mkdir(folder, 0o755))
			if out, err := exec.Command("tar", "-xzf", filepath.Join(o.out, name), "-C", folder, "--strip-components=1").CombinedOutput(); err != nil {
				t.Fatalf("tar: %v: %s", err, out)
			}
			for _, arg := range []string{"version", "train"} { // train starts a server and uses it
				c := exec.Command(filepath.Join(folder, "bin/harikube"), arg)
				c.Dir = folder
				if strings.Contains(name, "linux") {
					c.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "JAVA_HOME=/nonexistent"}
				}
				out, err := c.CombinedOutput()
				if err != nil || arg == "version" && !strings.Contains(string(out), strings.TrimPrefix(version, "v")) {
					t.Errorf("harikube %s: %v\n%s", arg, err, out)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(folder, "runtime/bin/java")); len(left) != strings.Count(name, "linux") {
				t.Errorf("runtimes: %q", left)
			}
		})
	}
	bom, refs := bomOf(t, o.out, "harikube-image-"+version+"-linux-amd64.tar"+bomEnding)
	libraries := 0
	for _, ref := range refs {
		if strings.HasPrefix(ref, "pkg:maven/") {
			libraries++
		}
	}
	if libraries < 30 || !slices.ContainsFunc(refs, func(ref string) bool { return strings.HasPrefix(ref, "pkg:generic/openjdk@25") }) {
		t.Errorf("the bill of %s has %d libraries: %q", bom.Metadata.Component.Name, libraries, refs)
	}
}

// The real image of Kubernetes: what it consists of is known, and nothing in it looks like a secret.
func TestBuiltKubernetes(t *testing.T) {
	s, o, minor := builtTree(t)
	found, err := filepath.Glob(s.path(o.images) + "/kubernetes-" + minor.name + "-linux-*.tar")
	must(t, err)
	if len(found) == 0 {
		t.Skip("`make images` has not built an image of Kubernetes: what is in it was not looked at")
	}
	l, err := openLayout(found[0])
	must(t, err)
	defer l.Close()
	must(t, l.checkBlobs())
	b := newBill(o.version, nil)
	must(t, l.walk(l.images[0], func(f fileInImage) error { return b.file(f.name, f.content, "") }))
	for _, want := range []string{"program:/kubernetes/kube-apiserver", "program:/kubernetes/kube-proxy", "program:/bin/cp", "program:/bin/certificates"} {
		if !slices.Contains(b.top, want) {
			t.Errorf("%s is not in %q", want, b.top)
		}
	}
	for _, want := range []string{"k8s.io/kubernetes@" + minor.version, "k8s.io/apiserver@v0" + strings.TrimPrefix(minor.version, "v1")} {
		if _, ok := b.needs["program:/kubernetes/kube-apiserver"]["pkg:golang/"+want]; !ok {
			t.Errorf("kube-apiserver has no %s but %q", want, sortedKeys(b.needs["program:/kubernetes/kube-apiserver"]))
		}
	}
	sc, err := s.scanner()
	must(t, err)
	f, err := os.Open(found[0])
	must(t, err)
	defer f.Close()
	must(t, sc.tarred(filepath.Base(found[0]), f, 0))
	must(t, sc.err())
}

// The real manifests of a version are kept in a copy of the commit: they are what the manifests' own test of kept ones wants, the release can be made
// with them, and the chart is there to upgrade from.
func TestBuiltKept(t *testing.T) {
	s, _, minor := builtTree(t)
	const version = "v999.0.0"
	r := &repo{t, t.TempDir()}
	run := func(name string, args ...string) string {
		t.Helper()
		c := exec.Command(name, args...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
		return string(out)
	}
	run("sh", "-c", `git -C "$0" archive HEAD | tar -xC "$1"`, s.root, r.root) // also of a shallow clone
	r.git("init", "-q")
	r.commit("What there is")
	settings, err := (&dist{source: s}).readSettings()
	must(t, err)
	run(s.path("build/tools/manifests"), "-root", r.root, "-out", r.path("build/manifests"), "-version", version, "-registry", settings["REGISTRY"],
		"-kubernetes", minor.name)
	must(t, keepCommand(r.root, version, "build/manifests", t.Output()))
	r.commit("The manifests are kept")
	must(t, checkCommand(r.root, version, "build/manifests", t.Output()))
	folder := keptFolder + "/" + version
	if images := read(t, r.root, folder+"/"+imagesFile); !strings.Contains(images, settings["REGISTRY"]+"/harikube:"+version+"\n") {
		t.Errorf("images.txt: %s", images)
	}
	if chart := run("tar", "-xzOf", r.path(folder+"/chart/harikube-"+version+".tgz"), "harikube/Chart.yaml"); !strings.Contains(chart, version) {
		t.Errorf("the chart: %s", chart)
	}
	r.git("tag", version)
	tested := run("go", "test", "-C", r.path("manifests/generate"), "-trimpath", "-count=1", "-v", "-run", "TestReleases", ".")
	if !strings.Contains(tested, "--- PASS: TestReleases/"+version) {
		t.Errorf("the manifests' own test: %s", tested)
	}
}

// What the tree has is no secret, so that a release of it is not refused.
func TestTreeHasNoSecrets(t *testing.T) {
	s, _, _ := builtTree(t)
	must(t, s.checkSecrets())
}

// Two clones of HEAD, each with the whole of `make release`, the second one by somebody with other settings.
func TestTwoClones(t *testing.T) {
	root := os.Getenv("HARIKUBE_ROOT")
	if root == "" {
		t.Skip("HARIKUBE_ROOT names no tree to clone: no two releases were compared")
	}
	const version = "v999.0.0"
	var releases []map[string]string
	for i, settings := range [][]string{{"TZ=UTC"}, {
		"TZ=Asia/Kathmandu", "LC_ALL=C.UTF-8", "UMASK=077", "GOFLAGS=-tags=somebody", "GOAMD64=v2", "GOARM64=v8.1",
		"JAVA_TOOL_OPTIONS=-XX:+UseZGC", "JDK_JAVA_OPTIONS=-Dfile.encoding=ISO-8859-1", "MAVEN_ARGS=-Dimage.revision=another",
	}} {
		clone := filepath.Join(t.TempDir(), fmt.Sprint("clone", i))
		if out, err := exec.Command("git", "clone", "-q", "--no-hardlinks", root, clone).CombinedOutput(); err != nil {
			t.Fatalf("git clone: %v: %s", err, out)
		}
		c := exec.Command("sh", "-c", `umask "${UMASK:-022}" && exec make release VERSION="$0" MINORS="$1"`, version, os.Getenv("HARIKUBE_BUILT_MINORS"))
		c.Dir = clone
		for _, variable := range os.Environ() {
			// What make tells its children is about the other tree.
			if name, _, _ := strings.Cut(variable, "="); !slices.Contains([]string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "K8S", "VERSION", "MINORS"}, name) {
				c.Env = append(c.Env, variable)
			}
		}
		c.Env = append(c.Env, settings...)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Run(); err != nil {
			t.Fatalf("make release: %v\n%s", err, out.Bytes()[max(0, out.Len()-20_000):])
		}
		releases = append(releases, contents(t, filepath.Join(clone, "release/dist")))
		must(t, os.RemoveAll(filepath.Join(clone, "build"))) // gigabytes
	}
	for _, name := range sortedKeys(releases[0]) {
		if releases[0][name] != releases[1][name] {
			t.Errorf("%s: %s, and then %s", name, releases[0][name], releases[1][name])
		}
	}
	if len(releases[0]) != len(releases[1]) {
		t.Errorf("%d files, and then %d", len(releases[0]), len(releases[1]))
	}
}

// cosign itself, built of its module, judges what we sign.
func TestCosign(t *testing.T) {
	cosign := os.Getenv("COSIGN")
	if cosign == "" {
		t.Skip("COSIGN names no cosign: whether it takes our signatures was not tried")
	}
	for name, pairs := range map[string][2]pair{
		"ECDSA":   {newPair(t, newECDSA(t, elliptic.P256()), false), newPair(t, newECDSA(t, elliptic.P256()), false)},
		"Ed25519": {newPair(t, newEd25519(t), false), newPair(t, newEd25519(t), false)},
	} {
		t.Run(name, func(t *testing.T) {
			folder := copied(t)
			host, digests := pushed(t, folder)
			must(t, signCommand(folder, pairs[0].key, "", t.Output()))
			must(t, pushSignaturesCommand(folder, host, pairs[0].public, t.Output()))
			for as := range digests {
				for i, key := range pairs {
					out, err := exec.Command(cosign, "verify", "--key", key.public, "--insecure-ignore-tlog", as).CombinedOutput()
					if (err == nil) != (i == 0) {
						t.Errorf("cosign verify %s: %v\n%s", as, err, out)
					}
				}
			}
			for i, key := range pairs {
				c := exec.Command(cosign, "verify-blob", "--key", key.public, "--signature", signatureFile, "--insecure-ignore-tlog", sumsFile)
				c.Dir = folder
				out, err := c.CombinedOutput()
				if (err == nil) != (i == 0) {
					t.Errorf("cosign verify-blob: %v\n%s", err, out)
				}
			}
		})
	}
}
