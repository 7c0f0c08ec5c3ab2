package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests' releases are made in repositories of their own, of small images and manifests that are laid out as the real ones are.

const (
	testVersion  = "v0.2.0"
	testRegistry = "registry.example/harikube"
	testKube     = "v1.37.2"
)

// programs builds assemble, which some tests end with signals, a registry, and a small program of Go for the images.
var programs = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "assemble-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", folder, ".", "./testdata/apiserver",
		"github.com/google/go-containerregistry/cmd/registry").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if folder, err := programs(); err == nil {
		os.RemoveAll(folder)
	}
	if template != "" {
		os.RemoveAll(template)
	}
	if sharedFolder != "" {
		os.RemoveAll(filepath.Dir(filepath.Dir(filepath.Dir(sharedFolder))))
	}
	os.Exit(status)
}

// repo is a repository with one commit that can be released, and with what was built of it.
type repo struct {
	t    *testing.T
	root string
}

var sourceFiles = map[string]string{
	".gitignore":                           "/build/\n/release/dist/\n/release/dist.new-*/\n",
	"release/release.properties":           "# Said once.\nREGISTRY=" + testRegistry + "\nSOURCE_URL=https://harikube.example\nLICENCE=NOASSERTION\n",
	"patches/kubernetes-v1.37.patch":       "diff --git a/x b/x\n",
	"images/kubernetes/1.37/go.mod":        "module x\n\ngo 1.26\n\nrequire k8s.io/kubernetes " + testKube + "\n",
	"manifests/vcluster/go.mod":            "module x\n\ngo 1.26\n\nrequire " + vclusterModule + " v0.36.1\n",
	"server/src/main/launcher/harikube":    "#!/bin/sh\nexec \"$(dirname \"$0\")/../runtime/bin/java\" \"$@\"\n",
	"server/src/main/launcher/find-jdk":    "#!/bin/sh\nexit 1\n",
	"a name with spaces":                   "x\n",
	"a name with\na line end and \"quotes": "x\n",
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	return newRepoAt(t, filepath.Join(t.TempDir(), "a repository"))
}

func newRepoAt(t *testing.T, root string) *repo {
	t.Helper()
	if template == "" {
		folder, err := os.MkdirTemp("", "repository-")
		must(t, err)
		r := &repo{t, folder}
		for name, content := range sourceFiles {
			r.write(name, content)
		}
		r.git("init", "-q", "-b", "main")
		r.commit("The first commit")
		r.build(testVersion)
		template = folder
	}
	must(t, os.CopyFS(root, os.DirFS(template)))
	return &repo{t, root}
}

// template is what each repository is a copy of.
var template string

func (r *repo) path(name string) string { return filepath.Join(r.root, filepath.FromSlash(name)) }

func (r *repo) write(name, content string) {
	r.t.Helper()
	must(r.t, os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	must(r.t, os.WriteFile(r.path(name), []byte(content), 0o644))
}

// git runs it with fixed times and names, so that the same commits have the same ids everywhere.
func (r *repo) git(args ...string) string {
	r.t.Helper()
	c := exec.Command("git", append([]string{"-C", r.root, "-c", "commit.gpgSign=false", "-c", "protocol.file.allow=always"}, args...)...)
	c.Env = append(os.Environ(), "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1767225600 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=1767225600 +0000", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := c.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) commit(message string) {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
}

// build makes what `make images manifests` would make of HEAD.
func (r *repo) build(version string) {
	r.t.Helper()
	r.buildManifests(version)
	r.buildImages(version)
	must(r.t, os.MkdirAll(r.path("build"), 0o755))
	sum := sha256.Sum256(libraryJar())
	r.write("build/bom.json", fmt.Sprintf(`{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [
	  {"type": "library", "bom-ref": "pkg:maven/org.example/library@1.0?type=jar", "group": "org.example", "name": "library", "version": "1.0",
	   "purl": "pkg:maven/org.example/library@1.0?type=jar", "hashes": [{"alg": "SHA-256", "content": "%x"}]},
	  {"type": "library", "bom-ref": "pkg:maven/org.xerial/sqlite-jdbc@3", "name": "sqlite-jdbc", "version": "3",
	   "hashes": [{"alg": "SHA-256", "content": "%x"}]}]}`, sum, sha256.Sum256(sqliteJar())))
	r.write("build/lib/sqlite-jdbc-3.jar", string(sqliteJar()))
}

func (r *repo) buildManifests(version string) {
	r.t.Helper()
	must(r.t, os.RemoveAll(r.path("build/manifests")))
	ours := testRegistry + "/harikube:" + version
	kubernetes := testRegistry + "/kubernetes:" + testKube + "-" + version
	for _, name := range []string{"sqlite", "sqlite-api", "postgres", "postgres-api"} {
		r.write("build/manifests/vcluster-harikube-"+name+"-release-"+version+".yaml", "kind: StatefulSet\nspec:\n  containers:\n"+
			"  - name: harikube\n    image: "+ours+"\n  - image: \""+kubernetes+"\"\n  - image: ghcr.example/vcluster-oss:0.36.1\n")
	}
	r.write("build/manifests/postgres-release-"+version+".yaml", "kind: StatefulSet\nspec:\n  containers:\n  - image: docker.example/postgres:18\n")
	r.write("build/manifests/skip-controller-manager-metadata-caching.yaml", "kind: MutatingAdmissionPolicy\n")
	r.write("build/manifests/monitoring/alerts.yaml", "kind: PrometheusRule\n")
	r.write("build/manifests/kustomize/sqlite/kustomization.yaml", "resources:\n- ../../vcluster-harikube-sqlite-release-"+version+".yaml\n")
	r.write("build/manifests/chart/harikube-"+version+".tgz", string(gzipped([]byte("a chart"))))
	r.write("build/manifests/images.txt", strings.Join([]string{ours, kubernetes, "ghcr.example/vcluster-oss:0.36.1", "docker.example/postgres:18", ""}, "\n"))
}

func (r *repo) head() string {
	r.t.Helper()
	return r.git("rev-parse", "HEAD")
}

func (r *repo) buildImages(version string) {
	r.t.Helper()
	must(r.t, os.RemoveAll(r.path("build/images")))
	r.image(imageOf{name: "harikube", ref: testRegistry + "/harikube:" + version, version: version, layers: serverLayers})
	r.image(imageOf{name: "kubernetes-1.37", ref: testRegistry + "/kubernetes:" + testKube + "-" + version, version: version, layers: kubernetesLayers(r.t)})
}

// imageOf is what an image is made of; revision is HEAD when it is empty.
type imageOf struct {
	name, ref, version, revision string
	layers                       func(arch string) []map[string]tarFile
}

type tarFile struct {
	content string
	mode    int64
	link    string
	hard    bool
}

// image writes the three archives of an image.
func (r *repo) image(i imageOf) {
	r.t.Helper()
	if i.revision == "" {
		i.revision = r.head()
	}
	must(r.t, os.MkdirAll(r.path("build/images"), 0o755))
	all := map[string][]byte{}
	var manifests []descriptor
	for _, arch := range architectures {
		blobs := map[string][]byte{}
		put := func(mediaType string, content []byte) descriptor {
			d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: int64(len(content))}
			blobs[d.Digest], all[d.Digest] = content, content
			return d
		}
		m := manifest{SchemaVersion: 2, MediaType: manifestType}
		var diffIDs []string
		for _, files := range i.layers(arch) {
			raw := tarred(files)
			diffIDs = append(diffIDs, digestOf(raw))
			m.Layers = append(m.Layers, put("application/vnd.oci.image.layer.v1.tar+gzip", gzipped(raw)))
		}
		var config struct {
			imageConfig
			RootFS struct {
				Type    string   `json:"type"`
				DiffIDs []string `json:"diff_ids"`
			} `json:"rootfs"`
		}
		config.RootFS.Type, config.RootFS.DiffIDs = "layers", diffIDs
		config.OS, config.Architecture = "linux", arch
		config.Config.Labels = map[string]string{versionLabel: i.version, revisionLabel: i.revision}
		if i.name == "harikube" {
			config.Config.Entrypoint = []string{"/java/bin/java", "-jar", "/harikube/lib/harikube-server.jar"}
		}
		c := put(configType, marshal(r.t, config))
		m.Config = &c
		d := put(manifestType, marshal(r.t, m))
		d.Annotations = map[string]string{refAnnotation: i.ref}
		r.writeLayout(i.name+"-linux-"+arch+".tar", d, blobs)
		d.Annotations, d.Platform = nil, &platform{"linux", arch}
		manifests = append(manifests, d)
	}
	index := marshal(r.t, manifest{SchemaVersion: 2, MediaType: indexType, Manifests: manifests})
	all[digestOf(index)] = index
	r.writeLayout(i.name+".tar", descriptor{
		MediaType: indexType, Digest: digestOf(index), Size: int64(len(index)), Annotations: map[string]string{refAnnotation: i.ref},
	}, all)
}

func (r *repo) writeLayout(name string, top descriptor, blobs map[string][]byte) {
	r.t.Helper()
	files := map[string]tarFile{
		"oci-layout": {content: layoutContent},
		"index.json": {content: string(marshal(r.t, manifest{SchemaVersion: 2, Manifests: []descriptor{top}}))},
	}
	for digest, content := range blobs {
		files["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] = tarFile{content: string(content)}
	}
	must(r.t, os.WriteFile(r.path("build/images/"+name), tarred(files), 0o644))
}

func serverLayers(arch string) []map[string]tarFile {
	return []map[string]tarFile{
		{
			"java/bin/java":               {content: "\x7fELF java of " + arch, mode: 0o755},
			"java/lib/server/libjvm":      {content: "\x7fELF jvm of " + arch},
			"java/lib/link":               {link: "server/libjvm"},
			"java/release":                {content: "IMPLEMENTOR=\"A maker\"\nJAVA_VERSION=\"25.0.3\"\nJAVA_RUNTIME_VERSION=\"25.0.3+9-LTS\"\n"},
			"lib/libc.so.6":               {content: "\x7fELF GNU C Library (A system 2.36-9) stable release version 2.36.\n"},
			"var/lib/dpkg/status.d/libc6": {content: "Package: libc6\nVersion: 2.36-9+deb12u14\nArchitecture: " + arch + "\n"},
			"etc/passwd":                  {content: "harikube:x:65532:65532::/data:/none\n"},
			"harikube/lib/library.jar":    {content: string(libraryJar())},
		},
		{
			"harikube/lib/sqlite-jdbc-3.jar":   {content: string(zipped(map[string]string{"org/sqlite/JDBC.class": "the driver"}))},
			"harikube/lib/libsqlitejdbc.so":    {content: "\x7fELF sqlite of " + arch},
			"harikube/lib/harikube-server.jar": {content: string(zipped(map[string]string{"io/harikube/cli/Main.class": "the server"}))},
		},
	}
}

var libraryJar = sync.OnceValue(func() []byte { return zipped(map[string]string{"org/example/Library.class": "a library"}) })

var sqliteJar = sync.OnceValue(func() []byte {
	return zipped(map[string]string{
		"org/sqlite/JDBC.class":                     "the driver",
		sqliteFolders["amd64"] + "libsqlitejdbc.so": "\x7fELF sqlite of amd64",
		sqliteFolders["arm64"] + "libsqlitejdbc.so": "\x7fELF sqlite of arm64",
	})
})

func kubernetesLayers(t *testing.T) func(arch string) []map[string]tarFile {
	t.Helper()
	folder, err := programs()
	must(t, err)
	content, err := os.ReadFile(filepath.Join(folder, "apiserver"))
	must(t, err)
	return func(arch string) []map[string]tarFile {
		return []map[string]tarFile{{
			"kubernetes/kube-apiserver": {content: string(content), mode: 0o755},
			"etc/arch":                  {content: arch},
		}}
	}
}

var testTime = time.Unix(1, 0)

func tarred(files map[string]tarFile) []byte {
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, name := range sortedKeys(files) {
		f := files[name]
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644 | f.mode, Size: int64(len(f.content)), ModTime: testTime}
		if f.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
			if f.hard {
				h.Typeflag = tar.TypeLink
			}
		}
		if err := t.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := t.Write([]byte(f.content)); err != nil {
			panic(err)
		}
	}
	if err := t.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func gzipped(content []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	z.Write(content)
	z.Close()
	return out.Bytes()
}

func zipped(files map[string]string) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range sortedKeys(files) {
		f, err := z.Create(name)
		if err != nil {
			panic(err)
		}
		f.Write([]byte(files[name]))
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	content, err := json.Marshal(value)
	must(t, err)
	return content
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// options are those of `make release-dist`.
func (r *repo) options(version string) distOptions {
	return distOptions{
		root: r.root, version: version, images: "build/images", manifests: "build/manifests", bom: "build/bom.json", lib: "build/lib", out: "release/dist",
	}
}

// release makes one, and gives its folder.
func (r *repo) release(version string) string {
	r.t.Helper()
	must(r.t, distCommand(r.options(version), r.t.Output()))
	return r.path("release/dist")
}

// shared is the folder of a release that nobody changes.
var sharedFolder string

func shared(t *testing.T) string {
	t.Helper()
	if sharedFolder == "" {
		folder, err := os.MkdirTemp("", "release-")
		must(t, err)
		r := newRepoAt(t, filepath.Join(folder, "repository"))
		sharedFolder = r.release(testVersion)
	}
	return sharedFolder
}

// copied is a copy of the shared release, to change.
func copied(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "a download")
	must(t, os.CopyFS(folder, os.DirFS(shared(t))))
	return folder
}

// contents are the digests of all that is in a folder, by name.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == folder {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		sum := sha256.Sum256(content)
		all[filepath.Base(name)] = fmt.Sprintf("%s %s %s", info.Mode(), info.ModTime().UTC(), hex.EncodeToString(sum[:]))
		return err
	}))
	return all
}

// sentences are the faults of an error.
func sentences(err error) []string {
	if err == nil {
		return nil
	}
	var all []string
	for _, fault := range faultsOf(err) {
		all = append(all, fault.Error())
	}
	return all
}

// wantFault: there is one fault, and it has these words.
func wantFault(t *testing.T, err error, words string) {
	t.Helper()
	wantFaults(t, err, words)
}

func wantFaults(t *testing.T, err error, words ...string) {
	t.Helper()
	got := sentences(err)
	ok := len(got) == len(words)
	for _, w := range words {
		ok = ok && slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, w) })
	}
	for _, s := range got {
		if strings.Contains(s, "\n") {
			t.Errorf("a fault of several lines: %q", s)
		}
	}
	if !ok {
		t.Errorf("got:\n    %s\nwant:\n    %s", strings.Join(got, "\n    "), strings.Join(words, "\n    "))
	}
}
