package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A key that this test made and that opens nothing, in two parts: it is no secret of this repository.
const testKey = "-----BEGIN EC PRIVATE" + ` KEY-----
MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49
AwEHoUQDQgAEPR3tU2Fta9ktY+6P9G0cWO+0kETA6SFs38GecTyudlHz6xvCdz8q
EKTcWGekdmdDPsHloRNtsiCa697B2O9IFA==
-----END EC PRIVATE` + ` KEY-----
`

func TestVersions(t *testing.T) {
	for _, good := range []string{"v0.0.1", "v1.2.3", "v1.2.3-rc.1", "v10.20.30-alpha", "v1.0.0-0.a-b"} {
		if err := parseVersion(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"1.2.3", "v1.2", "v1", "v01.2.3", "v1.2.3-01", "v1.2.3+build", "v1.2.3-", "v1.2.3-a..b", "v1.2.3 ", " v1.2.3", "v1.2.3\n", "V1.2.3",
		"v1.2.3/../../x", "v1.2.3;reboot", "v1.2.3-$(reboot)", "latest", "v-1.2.3", "v1.2.3.4", "v1.2.3-é", "v1.2.3-" + strings.Repeat("a", 60),
	} {
		if err := parseVersion(bad); err == nil || !strings.Contains(err.Error(), "is no version") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	wantFault(t, parseVersion(""), "say VERSION=vX.Y.Z")
	if last := newest([]string{"v0.9.0", "v0.10.0-rc.1", "v0.2.0", "v0.10.0-rc.2"}); last != "v0.10.0-rc.2" {
		t.Errorf("the last is %s", last)
	}
}

func checkOf(r *repo, version string) error {
	_, err := check(r.root, version)
	return err
}

func TestTreeThatIsNotTheCommit(t *testing.T) {
	for name, change := range map[string]struct {
		of   func(r *repo)
		want string
	}{
		"changed":   {func(r *repo) { r.write("patches/kubernetes-v1.37.patch", "x") }, ": patches/kubernetes-v1.37.patch."},
		"untracked": {func(r *repo) { r.write("new file", "x") }, ": new file."},
		"gone":      {func(r *repo) { must(r.t, os.Remove(r.path("a name with spaces"))) }, ": a name with spaces."},
		"staged": {func(r *repo) {
			r.write("new", "x")
			r.git("add", "new")
		}, ": new."},
		"staged and put back": {func(r *repo) {
			r.write("a name with spaces", "y")
			r.git("add", "-A")
			r.write("a name with spaces", "x\n")
		}, ": a name with spaces."},
		"a line end in its name": {func(r *repo) { r.write("new\nv1.0.0 can be made", "x") }, `: "new\nv1.0.0 can be made".`},
		"ignored for oneself":    {func(r *repo) { r.write(".git/info/exclude", "*.go\n"); r.write("x.go", "x") }, ": x.go."},
		"assumed to be unchanged": {func(r *repo) {
			r.git("update-index", "--assume-unchanged", "a name with spaces")
			r.write("a name with spaces", "y")
		}, "a name with spaces (marked so that git does not look at it)."},
		"skipped": {func(r *repo) {
			r.git("update-index", "--skip-worktree", "a name with spaces")
			r.write("a name with spaces", "y")
		}, "a name with spaces (marked so that git does not look at it)."},
		"a link for a file": {func(r *repo) {
			must(r.t, os.Remove(r.path("a name with spaces")))
			must(r.t, os.Symlink("/etc/passwd", r.path("a name with spaces")))
		}, ": a name with spaces."},
		"a mode": {func(r *repo) { must(r.t, os.Chmod(r.path("a name with spaces"), 0o755)) }, ": a name with spaces."},
		"a repository in it": {func(r *repo) {
			(&repo{r.t, r.path("inner")}).write("x", "x")
			(&repo{r.t, r.path("inner")}).git("init", "-q")
		}, ": inner/."},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			must(t, checkOf(r, testVersion))
			change.of(r)
			wantFault(t, checkOf(r, testVersion), change.want)
		})
	}
	t.Run("many", func(t *testing.T) {
		r := newRepo(t)
		for _, c := range "abcdefghijkl" {
			r.write(string(c), "x")
		}
		wantFault(t, checkOf(r, testVersion), ": a, b, c, d, e, f, g, h and 4 more.")
	})
}

func TestNoRepository(t *testing.T) {
	_, err := check(t.TempDir(), testVersion)
	wantFault(t, err, "A release is made of a git repository, and this is none")
	r := &repo{t, t.TempDir()}
	r.git("init", "-q")
	wantFault(t, checkOf(r, testVersion), "A release is made of a commit, and there is none yet")
}

// A release that is refused leaves nothing behind.
func TestRefusedReleaseWritesNothing(t *testing.T) {
	r := newRepo(t)
	r.write("new", "x")
	wantFault(t, distCommand(r.options(testVersion), t.Output()), "The tree is not as commit")
	if _, err := os.Stat(r.path("release/dist")); err == nil {
		t.Error("there is a release")
	}
}

func TestVersionHasToRise(t *testing.T) {
	for name, c := range map[string]struct {
		of            func(r *repo)
		version, want string
	}{
		"the same tag at another commit": {func(r *repo) { r.git("tag", "v0.2.0"); r.commit("More") }, "v0.2.0", "v0.2.0 is the tag of commit"},
		"an annotated one":               {func(r *repo) { r.git("tag", "-a", "-m", "x", "v0.2.0"); r.commit("More") }, "v0.2.0", "v0.2.0 is the tag of commit"},
		"below a tag":                    {func(r *repo) { r.git("tag", "v0.10.0") }, "v0.9.0", "v0.9.0 is not above v0.10.0"},
		"a tag on another branch": {func(r *repo) {
			r.git("checkout", "-q", "-b", "other")
			r.commit("Elsewhere")
			r.git("tag", "v1.0.0")
			r.git("checkout", "-q", "main")
		}, "v0.9.0", "v0.9.0 is not above v1.0.0"},
		"a candidate after its release":  {func(r *repo) { r.git("tag", "v1.2.3") }, "v1.2.3-rc.1", "v1.2.3-rc.1 is not above v1.2.3"},
		"a candidate before another one": {func(r *repo) { r.git("tag", "v1.2.3-rc.10") }, "v1.2.3-rc.9", "is not above v1.2.3-rc.10"},
		"below what is kept": {func(r *repo) {
			r.write("manifests/releases/v3.0.0/x.yaml", "x")
			r.commit("Kept")
		}, "v2.0.0", "v2.0.0 is not above v3.0.0"},
		"kept under no version": {func(r *repo) {
			r.write("manifests/releases/v3/x.yaml", "x")
			r.commit("Kept")
		}, "v4.0.0", `has a folder "v3", which is no version`},
		"tagged to get round":           {func(r *repo) { r.git("tag", "v1.0.0"); r.commit("More"); r.git("tag", "v0.5.0") }, "v0.5.0", "v0.5.0 is not above v1.0.0"},
		"a release after its candidate": {func(r *repo) { r.git("tag", "v1.2.3-rc.1") }, "v1.2.3", ""},
		"tags that are no versions":     {func(r *repo) { r.git("tag", "v9"); r.git("tag", "nightly"); r.git("tag", "9.9.9") }, "v0.1.0", ""},
		"its own tag here":              {func(r *repo) { r.git("tag", "v0.1.0") }, "v0.1.0", ""},
		"made again after a later one is out": {func(r *repo) {
			r.git("tag", "v0.1.0")
			r.git("checkout", "-q", "-b", "next")
			r.commit("More")
			r.git("tag", "v0.2.0")
			r.git("checkout", "-q", "v0.1.0")
		}, "v0.1.0", ""},
		"in a tree without branches": {func(r *repo) { r.git("checkout", "-q", "--detach") }, "v0.1.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c.of(r)
			if c.want == "" {
				must(t, checkOf(r, c.version))
				return
			}
			wantFault(t, checkOf(r, c.version), c.want)
		})
	}
}

func TestShallowClone(t *testing.T) {
	r := newRepo(t)
	r.commit("More")
	clone := &repo{t, filepath.Join(t.TempDir(), "clone")}
	r.git("clone", "-q", "--depth=1", "file://"+r.root, clone.root)
	wantFault(t, checkOf(clone, testVersion), "This clone is shallow")
}

// What git is told by others does not change what is found.
func TestCheckoutThatHasOtherBytes(t *testing.T) {
	r := newRepo(t)
	clone := &repo{t, filepath.Join(t.TempDir(), "clone")}
	r.git("-c", "core.autocrlf=true", "clone", "-q", "-c", "core.autocrlf=true", r.root, clone.root)
	if patch := read(t, clone.root, "patches/kubernetes-v1.37.patch"); !strings.Contains(patch, "\r\n") {
		t.Fatalf("the clone has %q", patch)
	}
	clone.build(testVersion)
	folder := clone.release(testVersion)
	if got := contents(t, folder); got["kubernetes-v1.37.patch"] != contents(t, shared(t))["kubernetes-v1.37.patch"] {
		t.Error("the patch has the checkout's line ends")
	}
}

func TestSecretsInTheTree(t *testing.T) {
	name, keyFile := "a file", testKey
	token := "ghp_" + strings.Repeat("a1B2", 10)
	jwt := "eyJ" + "hbGciOiJSUzI1NiJ9.eyJ" + "zdWIiOiJzeXN0ZW0ifQ." + strings.Repeat("aB3_", 20)
	for what, c := range map[string]struct{ content, want string }{
		"a key":                  {keyFile, "has a private key"},
		"a key with words":       {"The key is:\n\n" + keyFile, "has a private key"},
		"a key in JSON":          {`{"key": "` + strings.ReplaceAll(keyFile, "\n", `\n`) + `"}`, "has a private key"},
		"a key with CRLF":        {strings.ReplaceAll(keyFile, "\n", "\r\n"), "has a private key"},
		"a key in YAML":          {"key: |\n    " + strings.ReplaceAll(keyFile, "\n", "\n    "), "has a private key"},
		"a key in an archive":    {string(gzipped(tarred(map[string]tarFile{"x": {content: keyFile}}))), "a file!x, line 1, has a private key"},
		"a key in a zip":         {string(zipped(map[string]string{"x/y": keyFile})), "a file!x/y, line 1, has a private key"},
		"a key compressed":       {string(gzipped([]byte(keyFile))), "has a private key"},
		"a key after a zero":     {"\x00\x00" + keyFile, "has a private key"},
		"a token":                {"curl -H 'Authorization: Bearer " + token + "'", "has a token of GitHub"},
		"a signed token":         {"token: " + jwt, "has a token that is signed"},
		"a password in a URL":    {"url: postgres://harikube:" + "hunter2hunter2@db:5432/k", "has a password in a URL"},
		"a login":                {`{"auths": {"quay.io": {"auth": "` + "aGFyaWt1YmU6aHVudGVyMg==" + `"}}}`, "has a login to a registry"},
		"a kubeconfig":           {"  client-key-data: " + "LS0tLS1CRUdJTiBFQyBQUklWQVRF", "has the key of a certificate or account"},
		"words about a key":      {"Looks for -----BEGIN PRIVATE" + " KEY----- in a file.\n", ""},
		"a password that is one": {"postgres://user:password@host:port/db, postgres://$USER:$PASSWORD@h, postgres://%s:%s@h, https://h/a:b@c", ""},
		"a public key":           {strings.ReplaceAll(keyFile, "PRIVATE", "PUBLIC"), ""},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRepo(t)
			r.write(name, c.content)
			r.commit("A file")
			err := checkOf(r, testVersion)
			if c.want == "" {
				must(t, err)
				return
			}
			wantFault(t, err, c.want)
			for _, secret := range []string{"MHcCAQEE", token, jwt, "hunter2", "aGFyaWt1", "LS0tLS1C"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("it shows the secret: %v", err)
				}
			}
		})
	}
	for _, name := range []string{"id_ed25519", "x/.netrc", "release.p12", ".docker/config.json"} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.write(name, "x")
			r.commit("A file")
			wantFault(t, checkOf(r, testVersion), name+" has a file of secrets, by its name")
		})
	}
	t.Run("in the bytes of a link", func(t *testing.T) {
		r := newRepo(t)
		must(t, os.Symlink("https://a:"+"hunter2hunter2@host.example", r.path("link")))
		r.commit("A link")
		wantFault(t, checkOf(r, testVersion), "link, line 1, has a password in a URL")
	})
	t.Run("where a link leads", func(t *testing.T) {
		r := newRepo(t)
		outside := filepath.Join(t.TempDir(), "outside")
		must(t, os.WriteFile(outside, []byte(testKey), 0o600))
		must(t, os.Symlink(outside, r.path("link")))
		r.commit("A link")
		must(t, checkOf(r, testVersion)) // nothing of it is in the commit
	})
	t.Run("left out of archives", func(t *testing.T) {
		r := newRepo(t)
		r.write(".gitattributes", "* export-ignore\n")
		r.write("x", testKey)
		r.commit("A file")
		wantFault(t, checkOf(r, testVersion), "x, line 1, has a private key")
	})
}

func TestSecretsThatAreAllowed(t *testing.T) {
	r := newRepo(t)
	r.write("tests/key.pem", testKey)
	r.commit("A key of a test")
	err := checkOf(r, testVersion)
	wantFault(t, err, "tests/key.pem, line 1, has a private key")
	_, line, _ := strings.Cut(err.Error(), " takes the line «")
	line, _, _ = strings.Cut(line, "»")
	r.write(allowedFile, "# What a test needs.\n\n"+line+"\n")
	r.commit("It is allowed")
	must(t, checkOf(r, testVersion))

	// Another secret in the same file is not.
	r.write("tests/key.pem", testKey+"https://a:"+"hunter2hunter2@host.example/\n")
	r.commit("More")
	wantFault(t, checkOf(r, testVersion), "tests/key.pem, line 6, has a password in a URL")
	r.write(allowedFile, "tests/key.pem\n")
	r.commit("A file is allowed")
	wantFault(t, checkOf(r, testVersion), "release/secrets-allowed, line 1: a line is a fingerprint")
}

// What was built is looked at as the tree is, and as deep as it goes.
func TestSecretsInWhatWasBuilt(t *testing.T) {
	for name, c := range map[string]struct {
		of   func(r *repo)
		want []string
	}{
		"a manifest": {func(r *repo) {
			r.write("build/manifests/monitoring/x.yaml", "url: https://a:"+"hunter2hunter2@h.example\n")
		}, []string{"monitoring-x.yaml, line 1, has a password in a URL", "monitoring/x.yaml, line 1, has a password in a URL"}},
		"a chart": {func(r *repo) {
			r.write("build/manifests/chart/harikube-v0.2.0.tgz", string(gzipped(tarred(map[string]tarFile{"harikube/values.yaml": {content: testKey}}))))
		}, []string{
			"harikube-v0.2.0.tgz!harikube/values.yaml, line 1, has a private key",
			"harikube-manifests-v0.2.0.tar.gz!harikube-manifests-v0.2.0/chart/harikube-v0.2.0.tgz!harikube/values.yaml, line 1, has a private key",
		}},
		"a layer": {func(r *repo) {
			r.image(imageOf{
				name: "harikube", ref: testRegistry + "/harikube:v0.2.0", version: "v0.2.0", layers: func(arch string) []map[string]tarFile {
					layers := serverLayers(arch)
					layers[0]["etc/key"] = tarFile{content: testKey}
					return layers
				},
			})
		}, []string{"harikube-image-v0.2.0-linux-amd64.tar!blobs/sha256/", "harikube-image-v0.2.0-linux-arm64.tar!blobs/sha256/"}},
		"a jar in a layer, which is in archives, too": {func(r *repo) {
			r.image(imageOf{
				name: "harikube", ref: testRegistry + "/harikube:v0.2.0", version: "v0.2.0", layers: func(arch string) []map[string]tarFile {
					layers := serverLayers(arch)
					layers[1]["harikube/lib/harikube-server.jar"] = tarFile{content: string(zipped(map[string]string{"a/key.pem": testKey}))}
					return layers
				},
			})
		}, []string{
			"harikube-image-v0.2.0-linux-amd64.tar!blobs/sha256/", "harikube-image-v0.2.0-linux-arm64.tar!blobs/sha256/",
			"harikube-server-v0.2.0.tar.gz!", "harikube-server-v0.2.0-linux-amd64.tar.gz!", "harikube-server-v0.2.0-linux-arm64.tar.gz!",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c.of(r)
			wantFaults(t, distCommand(r.options(testVersion), t.Output()), c.want...)
			if _, err := os.Stat(r.path("release/dist")); err == nil {
				t.Error("there is a release")
			}
			wantOnlyDist(t, r)
		})
	}
}

// What the folders of images and manifests must not have in them.
func TestBuildsThatAreRefused(t *testing.T) {
	server := imageOf{name: "harikube", ref: testRegistry + "/harikube:v0.2.0", version: "v0.2.0", layers: serverLayers}
	with := func(change func(layers []map[string]tarFile)) imageOf {
		i := server
		i.layers = func(arch string) []map[string]tarFile {
			layers := serverLayers(arch)
			change(layers)
			return layers
		}
		return i
	}
	for name, c := range map[string]struct {
		of   func(r *repo)
		want []string
	}{
		"images of another commit": {func(r *repo) {
			i := server
			i.revision = strings.Repeat("0", 40)
			r.image(i)
		}, []string{"harikube-linux-amd64.tar was built of commit 000000000000"}},
		"images of another version": {func(r *repo) {
			i := server
			i.version, i.ref = "v0.1.0", testRegistry+"/harikube:v0.1.0"
			r.image(i)
		}, []string{"has the image registry.example/harikube/harikube:v0.1.0, not", "says that it is version v0.1.0"}},
		"no images":                {func(r *repo) { must(r.t, os.RemoveAll(r.path("build/images"))) }, []string{"harikube-linux-amd64.tar is missing. `make images VERSION=v0.2.0` makes it."}},
		"one architecture missing": {func(r *repo) { must(r.t, os.Remove(r.path("build/images/kubernetes-1.37-linux-arm64.tar"))) }, []string{"kubernetes-1.37-linux-arm64.tar is missing"}},
		"the wrong architecture": {func(r *repo) {
			content, err := os.ReadFile(r.path("build/images/harikube-linux-amd64.tar"))
			must(r.t, err)
			r.write("build/images/harikube-linux-arm64.tar", string(content))
		}, []string{"harikube-linux-arm64.tar is for linux/amd64, not for linux/arm64"}},
		"an index of other images": {func(r *repo) {
			index, err := os.ReadFile(r.path("build/images/harikube.tar"))
			must(r.t, err)
			r.image(with(func(l []map[string]tarFile) { l[0]["new"] = tarFile{content: "x"} }))
			r.write("build/images/harikube.tar", string(index))
		}, []string{"harikube.tar has another image for linux/amd64 than the archive for that platform"}},
		"an archive that is cut off": {func(r *repo) {
			must(r.t, os.Truncate(r.path("build/images/harikube-linux-amd64.tar"), 3000))
		}, []string{"harikube-linux-amd64.tar is no archive of an image"}},
		"a blob that was changed": {func(r *repo) {
			file := r.path("build/images/harikube-linux-amd64.tar")
			content, err := os.ReadFile(file)
			must(r.t, err)
			at := strings.Index(string(content), "\x1f\x8b")
			content[at+20] ^= 1
			must(r.t, os.WriteFile(file, content, 0o644))
		}, []string{"whose content is another"}},
		"a link for an archive": {func(r *repo) {
			must(r.t, os.Rename(r.path("build/images/harikube.tar"), r.path("build/elsewhere.tar")))
			must(r.t, os.Symlink("../elsewhere.tar", r.path("build/images/harikube.tar")))
		}, []string{"harikube.tar is a link, not a file"}},
		"a library that nobody knows": {func(r *repo) {
			r.image(with(func(l []map[string]tarFile) {
				l[0]["harikube/lib/other.jar"] = tarFile{content: string(zipped(map[string]string{"x": "y"}))}
			}))
		}, []string{"harikube/lib/other.jar is a library that Maven's bill of materials does not know"}},
		"a library that was changed": {func(r *repo) {
			r.image(with(func(l []map[string]tarFile) {
				l[1]["harikube/lib/sqlite-jdbc-3.jar"] = tarFile{content: string(zipped(map[string]string{"org/sqlite/JDBC.class": "another driver"}))}
			}))
		}, []string{"sqlite-jdbc-3.jar is not the library that Maven's bill of materials knows, nor a part of it: org/sqlite/JDBC.class in it is another"}},
		"a library with more in it": {func(r *repo) {
			r.image(with(func(l []map[string]tarFile) {
				l[1]["harikube/lib/sqlite-jdbc-3.jar"] = tarFile{content: string(zipped(map[string]string{"x": "y"}))}
			}))
		}, []string{"nor a part of it: x in it is another"}},
		"a layer that takes away": {func(r *repo) { r.image(with(func(l []map[string]tarFile) { l[1]["java/.wh.release"] = tarFile{} })) }, []string{"has a layer that takes files away"}},
		"a file twice": {func(r *repo) {
			r.image(with(func(l []map[string]tarFile) { l[1]["java/release"] = tarFile{content: "x"} }))
		}, []string{"has java/release twice"}},
		"a link out of the runtime": {func(r *repo) {
			r.image(with(func(l []map[string]tarFile) { l[0]["java/up"] = tarFile{link: "../../etc/passwd"} }))
		}, []string{"has a runtime with a link out of it: java/up"}},
		"a link to the root": {func(r *repo) {
			r.image(with(func(l []map[string]tarFile) { l[0]["java/up"] = tarFile{link: "/etc/passwd"} }))
		}, []string{"has a runtime with a link out of it: java/up"}},
		"a server without a runtime": {func(r *repo) { r.image(with(func(l []map[string]tarFile) { delete(l[0], "java/bin/java") })) }, []string{"has no runtime where its entry point says"}},
		"a link for a manifest": {func(r *repo) {
			must(r.t, os.Symlink("/etc/passwd", r.path("build/manifests/x.yaml")))
		}, []string{"x.yaml is a link, not a file"}},
		"no manifests":                  {func(r *repo) { must(r.t, os.RemoveAll(r.path("build/manifests"))) }, []string{"There are no manifests: `make manifests VERSION=v0.2.0`"}},
		"manifests of another version":  {func(r *repo) { r.buildManifests("v0.1.0") }, []string{"The manifests have no vcluster-harikube-sqlite-release-v0.2.0.yaml"}},
		"a name that would need quotes": {func(r *repo) { r.write("build/manifests/a b.yaml", "x") }, []string{"a b.yaml cannot be the name"}},
		"a name with a line end":        {func(r *repo) { r.write("build/manifests/a\nb.yaml", "x") }, []string{`"a\nb.yaml" cannot be the name`}},
		"two names that are one":        {func(r *repo) { r.write("build/manifests/Images.txt", "x") }, []string{"Two files of the release would have the name images.txt"}},
		"a folder's name and a file's":  {func(r *repo) { r.write("build/manifests/monitoring-alerts.yaml", "x") }, []string{"Two files of the release would have the name monitoring-alerts.yaml"}},
		"a manifest with an image that is not ours to release": {func(r *repo) {
			r.write("build/manifests/x.yaml", "containers:\n- image: "+testRegistry+"/harikube:v0.1.9\n")
		}, []string{"x.yaml names the image registry.example/harikube/harikube:v0.1.9, which is not in this release"}},
		"a manifest with an image that is in no list": {func(r *repo) {
			r.write("build/manifests/x.yaml", "containers:\n- image: elsewhere.example/x:1\n")
		}, []string{"x.yaml names the image elsewhere.example/x:1, which is not in images.txt"}},
		"a list with an image that was not built": {func(r *repo) {
			r.write("build/manifests/images.txt", testRegistry+"/other:v0.2.0\n")
		}, []string{"which was not built for this release"}},
		"no bill": {func(r *repo) { must(r.t, os.Remove(r.path("build/bom.json"))) }, []string{"bom.json is missing"}},
		"a bill of nothing": {func(r *repo) {
			r.write("build/bom.json", string(marshal(r.t, map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6"})))
		}, []string{"names no library"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c.of(r)
			wantFaults(t, distCommand(r.options(testVersion), t.Output()), c.want...)
			wantOnlyDist(t, r)
		})
	}
	t.Run("a minor version that there is not", func(t *testing.T) {
		r := newRepo(t)
		o := r.options(testVersion)
		o.minors = []string{"1.36"}
		wantFault(t, distCommand(o, t.Output()), "There is no Kubernetes 1.36")
	})
	t.Run("settings that say nothing", func(t *testing.T) {
		r := newRepo(t)
		r.write("release/release.properties", "REGISTRY=\n")
		r.commit("x")
		wantFault(t, distCommand(r.options(testVersion), t.Output()), "does not say REGISTRY")
	})
}

func TestKeep(t *testing.T) {
	r := newRepo(t)
	keep := func(version string) error { return keepCommand(r.root, version, "build/manifests", t.Output()) }
	must(t, keep(testVersion))
	folder := "manifests/releases/" + testVersion
	for _, name := range []string{"vcluster-harikube-sqlite-release-v0.2.0.yaml", "monitoring/alerts.yaml", "images.txt", "postgres-release-v0.2.0.yaml",
		"chart/harikube-v0.2.0.tgz"} {
		if read(t, r.root, folder+"/"+name) != read(t, r.root, "build/manifests/"+name) {
			t.Errorf("%s is another", name)
		}
	}
	if _, err := os.Stat(r.path(folder + "/kustomize")); err == nil {
		t.Error("the manifests are kept twice")
	}
	wantFault(t, checkOf(r, testVersion), "The tree is not as commit")
	r.commit("The manifests are kept")
	r.buildImages(testVersion)
	dist := r.release(testVersion)
	var m metadata
	must(t, json.Unmarshal([]byte(read(t, dist, metadataFile)), &m))
	if m.Commit != r.head() {
		t.Errorf("of %s", m.Commit)
	}

	// The sources change afterwards.
	r.write("build/manifests/postgres-release-v0.2.0.yaml", "changed: true\n")
	r.write("build/manifests/another.yaml", "x: 1\n")
	must(t, os.Remove(r.path("build/manifests/monitoring/alerts.yaml")))
	want := "differs from the manifests that this commit makes: another.yaml is generated and not kept, " +
		"monitoring/alerts.yaml is kept and not generated, postgres-release-v0.2.0.yaml is another."
	wantFault(t, distCommand(r.options(testVersion), t.Output()), want)
	wantFault(t, checkCommand(r.root, testVersion, "build/manifests", t.Output()), want)
	must(t, keep(testVersion))
	r.commit("Kept anew")
	r.buildImages(testVersion)
	r.release(testVersion)

	// When it is out it stays.
	r.git("tag", testVersion)
	wantFault(t, keep(testVersion), "v0.2.0 has a tag: its manifests stay as they are")
	r.commit("More")
	r.buildManifests("v0.1.0")
	wantFault(t, keep("v0.1.0"), "v0.1.0 is not above v0.2.0")
	wantFault(t, keep("v0.3.0"), "The manifests have no vcluster-harikube-sqlite-release-v0.3.0.yaml")
	if r.git("status", "--porcelain") != "" {
		t.Error("something was written all the same")
	}

	// What was kept is where the next one begins when there is no tag.
	r.git("tag", "-d", testVersion)
	r.write("x", "x")
	r.commit("What came after")
	r.build("v0.3.0")
	notes := read(t, r.release("v0.3.0"), notesFile)
	if !strings.Contains(notes, "Since v0.2.0:\n\n- What came after (`") || strings.Contains(notes, "The first commit") {
		t.Errorf("the notes:\n%s", notes)
	}
}
