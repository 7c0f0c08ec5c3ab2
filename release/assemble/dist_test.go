package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func read(t *testing.T, folder, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	must(t, err)
	return string(content)
}

func TestReleaseHasEverything(t *testing.T) {
	folder := shared(t)
	entries, err := os.ReadDir(folder)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := strings.Fields(`SHA256SUMS
		harikube-image-v0.2.0-linux-amd64.tar harikube-image-v0.2.0-linux-amd64.tar.cdx.json
		harikube-image-v0.2.0-linux-arm64.tar harikube-image-v0.2.0-linux-arm64.tar.cdx.json
		harikube-image-v0.2.0.tar harikube-image-v0.2.0.tar.cdx.json
		harikube-manifests-v0.2.0.tar.gz harikube-manifests-v0.2.0.tar.gz.cdx.json
		harikube-server-v0.2.0-linux-amd64.tar.gz harikube-server-v0.2.0-linux-amd64.tar.gz.cdx.json
		harikube-server-v0.2.0-linux-arm64.tar.gz harikube-server-v0.2.0-linux-arm64.tar.gz.cdx.json
		harikube-server-v0.2.0.tar.gz harikube-server-v0.2.0.tar.gz.cdx.json
		harikube-v0.2.0.cdx.json harikube-v0.2.0.intoto.json harikube-v0.2.0.tgz harikube-v0.2.0.tgz.cdx.json images.txt
		kubernetes-image-v1.37.2-v0.2.0-linux-amd64.tar kubernetes-image-v1.37.2-v0.2.0-linux-amd64.tar.cdx.json
		kubernetes-image-v1.37.2-v0.2.0-linux-arm64.tar kubernetes-image-v1.37.2-v0.2.0-linux-arm64.tar.cdx.json
		kubernetes-image-v1.37.2-v0.2.0.tar kubernetes-image-v1.37.2-v0.2.0.tar.cdx.json
		kubernetes-v1.37.patch kubernetes-v1.37.patch.cdx.json metadata.json monitoring-alerts.yaml postgres-release-v0.2.0.yaml release-notes.md
		skip-controller-manager-metadata-caching.yaml
		vcluster-harikube-postgres-api-release-v0.2.0.yaml vcluster-harikube-postgres-release-v0.2.0.yaml
		vcluster-harikube-sqlite-api-release-v0.2.0.yaml vcluster-harikube-sqlite-release-v0.2.0.yaml`)
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	c := exec.Command("sha256sum", "--check", "--strict", "--quiet", sumsFile)
	c.Dir = folder
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v: %s", err, out)
	}
	if r, err := verify(folder, nil); err != nil || r.Version != testVersion || r.signed {
		t.Errorf("verify: %v", err)
	}
}

func TestImagesHaveTheirDigests(t *testing.T) {
	folder := shared(t)
	var m metadata
	must(t, json.Unmarshal([]byte(read(t, folder, metadataFile)), &m))
	var top string
	for _, a := range m.Artifacts {
		if a.Name == "harikube-image-v0.2.0.tar" {
			top = a.Digest
			if a.OS != "linux" || a.Arch != "amd64,arm64" || a.Image != testRegistry+"/harikube:v0.2.0" {
				t.Errorf("metadata.json: %+v", a)
			}
		}
	}
	list := read(t, folder, imagesFile)
	if !digestForm.MatchString(top) || !strings.Contains(list, testRegistry+"/harikube:v0.2.0@"+top+"\n") {
		t.Errorf("images.txt lacks %s:\n%s", top, list)
	}
	if !strings.Contains(list, "ghcr.example/vcluster-oss:0.36.1\n") || strings.Count(list, "\n") != 4 {
		t.Errorf("images.txt:\n%s", list)
	}
	if notes := read(t, folder, notesFile); !strings.Contains(notes, top) {
		t.Errorf("the notes lack %s", top)
	}
}

func TestProvenanceNamesTheCommit(t *testing.T) {
	folder := shared(t)
	var m metadata
	must(t, json.Unmarshal([]byte(read(t, folder, metadataFile)), &m))
	text := read(t, folder, "harikube-v0.2.0.intoto.json")
	var statement map[string]any
	must(t, json.Unmarshal([]byte(text), &statement))
	if statement["_type"] != "https://in-toto.io/Statement/v1" || statement["predicateType"] != "https://slsa.dev/provenance/v1" {
		t.Errorf("types: %v, %v", statement["_type"], statement["predicateType"])
	}
	for _, a := range m.Artifacts {
		if a.Kind != kindProvenance && a.Kind != kindNotes && !strings.Contains(text, a.SHA256) {
			t.Errorf("it does not say what %s is", a.Name)
		}
	}
	if !strings.Contains(text, `"gitCommit": "`+m.Commit+`"`) {
		t.Error("it does not say the commit")
	}
	var made struct {
		Predicate struct {
			BuildDefinition struct {
				InternalParameters struct{ Java map[string]string }
			}
		}
	}
	must(t, json.Unmarshal([]byte(text), &made))
	if java := made.Predicate.BuildDefinition.InternalParameters.Java; java["amd64"] != "25.0.3+9-LTS" || java["arm64"] != java["amd64"] {
		t.Errorf("the runtimes are %v", java)
	}
}

func bomOf(t *testing.T, folder, name string) (*cdx.BOM, []string) {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, name))
	must(t, err)
	defer f.Close()
	bom := new(cdx.BOM)
	must(t, cdx.NewBOMDecoder(f, cdx.BOMFileFormatJSON).Decode(bom))
	var refs []string
	for _, c := range value(bom.Components) {
		refs = append(refs, c.BOMRef)
	}
	return bom, refs
}

func TestBillsSayWhatIsInAnArtifact(t *testing.T) {
	folder := shared(t)
	for name, wanted := range map[string][]string{
		"harikube-image-v0.2.0-linux-arm64.tar.cdx.json": {
			"pkg:maven/org.example/library@1.0?type=jar", "pkg:maven/io.harikube/harikube-server@v0.2.0",
			"pkg:generic/openjdk@25.0.3+9-LTS", "file:/lib/libc.so.6",
			"pkg:deb/debian/libc6@2.36-9+deb12u14?arch=arm64", "pkg:maven/org.xerial/sqlite-jdbc@3",
		},
		"harikube-image-v0.2.0.tar.cdx.json":                 {"file:/amd64/lib/libc.so.6", "file:/arm64/lib/libc.so.6", "pkg:generic/openjdk@25.0.3+9-LTS"},
		"harikube-server-v0.2.0.tar.gz.cdx.json":             {"pkg:maven/org.xerial/sqlite-jdbc@3"},
		"harikube-server-v0.2.0-linux-amd64.tar.gz.cdx.json": {"pkg:generic/openjdk@25.0.3+9-LTS", "file:/lib/libsqlitejdbc.so"},
		"kubernetes-image-v1.37.2-v0.2.0-linux-amd64.tar.cdx.json": {
			"program:/kubernetes/kube-apiserver", "file:kubernetes-v1.37.patch", "pkg:golang/golang.org/x/mod@v0.43.0",
		},
		"kubernetes-v1.37.patch.cdx.json":           {"pkg:golang/k8s.io/kubernetes@" + testKube},
		"harikube-v0.2.0.tgz.cdx.json":              {"pkg:golang/github.com/loft-sh/vcluster@v0.36.1", "image:" + testRegistry + "/harikube:v0.2.0"},
		"harikube-manifests-v0.2.0.tar.gz.cdx.json": {"pkg:golang/github.com/loft-sh/vcluster@v0.36.1", "image:docker.example/postgres:18"},
		"harikube-v0.2.0.cdx.json": {
			"artifact:vcluster-harikube-sqlite-release-v0.2.0.yaml", "image:ghcr.example/vcluster-oss:0.36.1", "artifact:harikube-image-v0.2.0.tar",
			"artifact:kubernetes-v1.37.patch", "artifact:monitoring-alerts.yaml", "artifact:harikube-v0.2.0.tgz",
		},
	} {
		bom, refs := bomOf(t, folder, name)
		for _, ref := range wanted {
			if !slices.Contains(refs, ref) {
				t.Errorf("%s lacks %s; it has:\n    %s", name, ref, strings.Join(refs, "\n    "))
			}
		}
		known := map[string]bool{bom.Metadata.Component.BOMRef: true}
		for _, ref := range refs {
			if known[ref] {
				t.Errorf("%s has %s twice", name, ref)
			}
			known[ref] = true
		}
		for _, d := range value(bom.Dependencies) {
			for _, ref := range append(value(d.Dependencies), d.Ref) {
				if !known[ref] {
					t.Errorf("%s: somebody needs %s, which is not in it", name, ref)
				}
			}
		}
		if !strings.HasPrefix(bom.SerialNumber, "urn:uuid:") || bom.Metadata.Timestamp != "2026-01-01T00:00:00Z" {
			t.Errorf("%s: %s of %s", name, bom.SerialNumber, bom.Metadata.Timestamp)
		}
	}
	bom, _ := bomOf(t, folder, "harikube-image-v0.2.0-linux-arm64.tar.cdx.json")
	for _, c := range value(bom.Components) {
		if c.BOMRef == "file:/lib/libc.so.6" && c.Version != "2.36" {
			t.Errorf("the C library is %q", c.Version)
		}
	}
}

// unpacked gives what an archive has in it: mode and content, or where a link leads.
func unpacked(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	if z.Name != "" || !z.ModTime.IsZero() {
		t.Errorf("gzip says %q, %v", z.Name, z.ModTime)
	}
	files := map[string]string{}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if err == io.EOF {
			return files
		}
		must(t, err)
		content, err := io.ReadAll(in)
		must(t, err)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.ModTime.Unix() != 1767225600 {
			t.Errorf("%s: %d:%d %s %v", h.Name, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
		files[h.Name] = fmt.Sprintf("%04o %s%s", h.Mode, h.Linkname, content)
	}
}

func TestManifestsAsAnArchive(t *testing.T) {
	folder := shared(t)
	all := unpacked(t, filepath.Join(folder, "harikube-manifests-v0.2.0.tar.gz"))
	const top = "harikube-manifests-v0.2.0/"
	if got := all[top+"kustomize/sqlite/kustomization.yaml"]; got != "0644 resources:\n- ../../vcluster-harikube-sqlite-release-v0.2.0.yaml\n" {
		t.Errorf("kustomize: %q", got)
	}
	if got := all[top+"vcluster-harikube-sqlite-release-v0.2.0.yaml"]; got != "0644 "+read(t, folder, "vcluster-harikube-sqlite-release-v0.2.0.yaml") {
		t.Errorf("the manifest: %q", got)
	}
	if got := all[top+"chart/harikube-v0.2.0.tgz"]; got != "0644 "+read(t, folder, "harikube-v0.2.0.tgz") {
		t.Errorf("the chart: %q", got)
	}
	if _, ok := all[top+imagesFile]; ok {
		t.Error("there is a list of images without digests")
	}

	// Alone it is the same.
	r := newRepo(t)
	must(t, archiveCommand(r.root, testVersion, "build/manifests", "build/release", t.Output()))
	must(t, archiveCommand(r.root, testVersion, "build/manifests", "build/release", t.Output()))
	if read(t, r.root, "build/release/harikube-manifests-v0.2.0.tar.gz") != read(t, folder, "harikube-manifests-v0.2.0.tar.gz") {
		t.Error("the archive alone is another")
	}
}

func TestServerArchives(t *testing.T) {
	folder := shared(t)
	plain := unpacked(t, filepath.Join(folder, "harikube-server-v0.2.0.tar.gz"))
	if got := sortedKeys(plain); !slices.Equal(got, []string{
		"harikube-server-v0.2.0/", "harikube-server-v0.2.0/bin/", "harikube-server-v0.2.0/bin/harikube", "harikube-server-v0.2.0/lib/",
		"harikube-server-v0.2.0/lib/find-jdk", "harikube-server-v0.2.0/lib/harikube-server.jar", "harikube-server-v0.2.0/lib/library.jar",
		"harikube-server-v0.2.0/lib/sqlite-jdbc-3.jar",
	}) {
		t.Errorf("without a runtime: %q", got)
	}
	if plain["harikube-server-v0.2.0/lib/sqlite-jdbc-3.jar"] != "0644 "+string(sqliteJar()) {
		t.Error("the driver of SQLite is not whole")
	}
	whole := unpacked(t, filepath.Join(folder, "harikube-server-v0.2.0-linux-arm64.tar.gz"))
	for name, want := range map[string]string{
		"bin/harikube":            "0755 " + sourceFiles["server/src/main/launcher/harikube"],
		"lib/find-jdk":            "0755 " + findOwnRuntime,
		"lib/libsqlitejdbc.so":    "0644 \x7fELF sqlite of arm64",
		"lib/sqlite-jdbc-3.jar":   "0644 " + string(zipped(map[string]string{"org/sqlite/JDBC.class": "the driver"})),
		"runtime/bin/java":        "0755 \x7fELF java of arm64",
		"runtime/lib/link":        "0777 server/libjvm",
		"lib/harikube-server.jar": "0644 " + string(zipped(map[string]string{"io/harikube/cli/Main.class": "the server"})),
	} {
		if got := whole["harikube-server-v0.2.0-linux-arm64/"+name]; got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
}

// Two runs in different folders, under different settings of a user.
func TestTwoRunsGiveTheSame(t *testing.T) {
	first := contents(t, shared(t))
	r := newRepoAt(t, filepath.Join(t.TempDir(), "another  place\nwith 'odd' name"))
	t.Setenv("TZ", "Asia/Kathmandu")
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	t.Setenv("GIT_DIR", "/nowhere")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	must(t, distCommand(r.options(testVersion), t.Output()))
	second := contents(t, r.path("release/dist"))
	for _, name := range sortedKeys(first) {
		if first[name] != second[name] {
			t.Errorf("%s: %s, and then %s", name, first[name], second[name])
		}
	}
	if len(first) != len(second) {
		t.Errorf("%d files, and then %d", len(first), len(second))
	}
}

func TestReleaseReplacesTheOneBefore(t *testing.T) {
	r := newRepo(t)
	folder := r.release(testVersion)
	must(t, os.WriteFile(filepath.Join(folder, "left over"), nil, 0o644))
	must(t, os.MkdirAll(r.path("release/dist.new-123/x"), 0o755))
	r.release(testVersion)
	if _, err := verify(folder, nil); err != nil {
		t.Error(err)
	}
	wantOnlyDist(t, r)
}

// wantOnlyDist: nothing of a run is left beside the release.
func wantOnlyDist(t *testing.T, r *repo) {
	t.Helper()
	left, err := filepath.Glob(globQuote(r.path("release/dist")) + "*")
	must(t, err)
	if len(left) > 1 {
		t.Errorf("left: %q", left)
	}
}

func TestWhatIsInTheWayStays(t *testing.T) {
	r := newRepo(t)
	r.write("release/dist/somebody's file", "x")
	wantFault(t, distCommand(r.options(testVersion), t.Output()), "is in the way: it has files in it and is no release")
	if read(t, r.root, "release/dist/somebody's file") != "x" {
		t.Error("it is gone")
	}
	must(t, os.RemoveAll(r.path("release/dist")))
	elsewhere := t.TempDir()
	must(t, os.Symlink(elsewhere, r.path("release/dist")))
	r.write(".gitignore", sourceFiles[".gitignore"]+"/release/dist\n")
	r.commit("A link is ignored, too")
	r.build(testVersion)
	wantFault(t, distCommand(r.options(testVersion), t.Output()), "is in the way: it is not a folder")
}

func TestTwoAtATime(t *testing.T) {
	r := newRepo(t)
	unlock, err := lock(r.path("release"))
	must(t, err)
	wantFault(t, distCommand(r.options(testVersion), t.Output()), "is at work in")
	unlock()
	r.release(testVersion)
}

// A disk that gets full: the release of before is still there, whole.
func TestFullDisk(t *testing.T) {
	r := newRepo(t)
	must(t, os.MkdirAll(r.path("release"), 0o755))
	disk := filepath.Join(t.TempDir(), "disk")
	must(t, os.Mkdir(disk, 0o755))
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=30m"); err != nil {
		t.Skipf("no file system can be mounted here (%v): what a full disk does was not tried", err)
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	o := r.options(testVersion)
	o.out = filepath.Join(disk, "dist")
	must(t, distCommand(o, t.Output()))
	before := contents(t, o.out)
	filler := filepath.Join(disk, "filler")
	_ = os.WriteFile(filler, make([]byte, 30<<20), 0o644) // all that there is
	info, err := os.Stat(filler)
	must(t, err)
	must(t, os.Truncate(filler, info.Size()-1<<20))
	err = distCommand(o, t.Output())
	if err == nil || !strings.Contains(err.Error(), "The disk is full") {
		t.Errorf("%v", err)
	}
	after := contents(t, o.out)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("the release of before is another")
	}
	if left, _ := filepath.Glob(o.out + ".new-*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// Ended in the middle, by whatever signal, it leaves the release of before; the next run removes what was left.
func TestInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			r := newRepo(t)
			folder, err := programs()
			must(t, err)
			before := contents(t, r.release(testVersion))
			c := exec.Command(filepath.Join(folder, "assemble"), "dist", "-root", r.root, "-version", testVersion, "-bom", "build/bom.json")
			must(t, c.Start())
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			for begun := false; !begun; {
				select {
				case err := <-ended:
					t.Fatalf("it ended before anybody saw what it writes: %v", err)
				default:
					// The file that comes first.
					found, _ := filepath.Glob(globQuote(r.path("release/dist")) + ".new-*/*")
					begun = len(found) > 0
				}
			}
			must(t, c.Process.Signal(signal))
			if err := <-ended; err == nil {
				t.Fatal("it went on")
			}
			left, _ := filepath.Glob(globQuote(r.path("release/dist")) + ".new-*")
			if killed := signal == syscall.SIGKILL; (len(left) > 0) != killed {
				t.Errorf("left: %q", left)
			}
			if after := contents(t, r.path("release/dist")); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("the release of before is another")
			}
			r.release(testVersion)
			wantOnlyDist(t, r)
		})
	}
}

func TestNotes(t *testing.T) {
	r := newRepo(t)
	r.git("tag", "v0.1.0")
	r.write("x", "1")
	r.commit("A [link](https://evil.example) | <img src=x> `code` for @everybody")
	r.write("x", "2")
	r.commit("A flag is gone\n\nIt served nobody.\n\nBreaking: `--old` is gone;\nsay --new.")
	r.build(testVersion)
	notes := read(t, r.release(testVersion), notesFile)
	for _, want := range []string{
		"# HariKube v0.2.0\n", "## Install\n", "## Upgrade\n", "From v0.1.0:", "## Breaking changes\n\n- \\`--old\\` is gone; say --new. (`",
		"## Verify\n", "## Changes\n\nSince v0.1.0:\n\n- A flag is gone (`",
		"- A \\[link\\](https://evil.example) \\| \\<img src=x\\> \\`code\\` for \\@everybody (`",
		"kubectl apply -f vcluster-harikube-sqlite-release-v0.2.0.yaml\n",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "The first commit") {
		t.Error("the notes have what was there before")
	}
	first := read(t, shared(t), notesFile)
	if !strings.Contains(first, "This is the first release.") || !strings.Contains(first, "## Breaking changes\n\nNone.\n") {
		t.Errorf("of a first release:\n%s", first)
	}
}
