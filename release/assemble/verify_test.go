package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// rewrite changes a file of a release, and says so in SHA256SUMS as whoever means harm would.
func rewrite(t *testing.T, folder, name string, change func(string) string) {
	t.Helper()
	before := read(t, folder, name)
	after := change(before)
	if after == before {
		t.Fatalf("%s did not change", name)
	}
	must(t, os.WriteFile(filepath.Join(folder, name), []byte(after), 0o644))
	restate(t, folder, name)
}

// restate says in SHA256SUMS and metadata.json what a file is now.
func restate(t *testing.T, folder, name string) {
	t.Helper()
	content := read(t, folder, name)
	digest := strings.TrimPrefix(digestOf([]byte(content)), "sha256:")
	if name != metadataFile {
		var m metadata
		must(t, json.Unmarshal([]byte(read(t, folder, metadataFile)), &m))
		for i := range m.Artifacts {
			if m.Artifacts[i].Name == name {
				m.Artifacts[i].SHA256, m.Artifacts[i].Size = digest, int64(len(content))
			}
		}
		must(t, os.WriteFile(filepath.Join(folder, metadataFile), marshal(t, m), 0o644))
		restate(t, folder, metadataFile)
	}
	sums, err := parseSums([]byte(read(t, folder, sumsFile)))
	must(t, err)
	for i := range sums {
		if sums[i].name == name {
			sums[i].digest = digest
		}
	}
	must(t, os.WriteFile(filepath.Join(folder, sumsFile), formatSums(sums), 0o644))
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	const manifestName = "vcluster-harikube-sqlite-release-v0.2.0.yaml"
	notSo := func(name string) string { return name + " is not as SHA256SUMS says" }
	sums := func(change func(text string) string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			must(t, os.WriteFile(filepath.Join(folder, sumsFile), []byte(change(read(t, folder, sumsFile))), 0o644))
		}
	}
	remove := func(name string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) { must(t, os.Remove(filepath.Join(folder, name))) }
	}
	extra := func(name string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			must(t, os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o644))
		}
	}
	zeros := strings.Repeat("0", 64)
	added := fmt.Sprintf("SHA256SUMS, line %d: ", strings.Count(read(t, shared(t), sumsFile), "\n")+1)
	for name, c := range map[string]struct {
		of   func(t *testing.T, folder string)
		want []string
	}{
		"nothing":        {func(*testing.T, string) {}, nil},
		"a file missing": {remove(manifestName), []string{manifestName + " is missing"}},
		"two of them":    {func(t *testing.T, f string) { remove(manifestName)(t, f); remove(notesFile)(t, f) }, []string{manifestName + " is missing", notesFile + " is missing"}},
		"no metadata":    {remove(metadataFile), []string{"metadata.json is missing"}},
		"no sums":        {remove(sumsFile), []string{"SHA256SUMS is missing. Without it nothing can be said of the folder."}},
		"an extra file":  {extra("install.sh"), []string{"install.sh is not a part of the release"}},
		"a hidden one":   {extra(".bashrc"), []string{".bashrc is not a part of the release"}},
		"an odd name":    {extra("a b\n\x1b[2K v0.2.0 is whole"), []string{`"a b\n\x1b[2K v0.2.0 is whole" is not a part of the release`}},
		"no UTF-8":       {extra("a\xff"), []string{`"a\xff" is not a part of the release`}},
		"a folder":       {func(t *testing.T, f string) { must(t, os.Mkdir(filepath.Join(f, "x"), 0o755)) }, []string{"x is not a part of the release"}},
		"a file that grew": {func(t *testing.T, f string) {
			must(t, os.WriteFile(filepath.Join(f, imagesFile), []byte(read(t, f, imagesFile)+"\n"), 0o644))
		}, []string{notSo(imagesFile)}},
		"a file cut off": {func(t *testing.T, f string) {
			must(t, os.Truncate(filepath.Join(f, "harikube-image-v0.2.0.tar"), 1000))
		}, []string{notSo("harikube-image-v0.2.0.tar")}},
		"an empty file": {func(t *testing.T, f string) { must(t, os.Truncate(filepath.Join(f, manifestName), 0)) }, []string{notSo(manifestName)}},
		"Windows line ends in a manifest": {func(t *testing.T, f string) {
			must(t, os.WriteFile(filepath.Join(f, manifestName), []byte(strings.ReplaceAll(read(t, f, manifestName), "\n", "\r\n")), 0o644))
		}, []string{notSo(manifestName)}},
		"a link to the same": {func(t *testing.T, f string) {
			must(t, os.Rename(filepath.Join(f, manifestName), filepath.Join(filepath.Dir(f), "outside")))
			must(t, os.Symlink("../outside", filepath.Join(f, manifestName)))
		}, []string{manifestName + " is a link, not a file"}},
		"a pipe": {func(t *testing.T, f string) {
			remove(manifestName)(t, f)
			must(t, syscall.Mkfifo(filepath.Join(f, manifestName), 0o644))
		}, []string{manifestName + " is not a regular file"}},
		"a folder for a file": {func(t *testing.T, f string) {
			remove(manifestName)(t, f)
			must(t, os.Mkdir(filepath.Join(f, manifestName), 0o755))
		}, []string{manifestName + " is not a regular file"}},
		"a link for the sums": {func(t *testing.T, f string) {
			must(t, os.Rename(filepath.Join(f, sumsFile), filepath.Join(filepath.Dir(f), "outside")))
			must(t, os.Symlink("../outside", filepath.Join(f, sumsFile)))
		}, []string{"SHA256SUMS is a link, not a file. Without it"}},

		"sums with CRLF":           {sums(func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }), []string{"SHA256SUMS has line ends that are not ours (CR)"}},
		"sums cut off":             {sums(func(s string) string { return strings.TrimSuffix(s, "\n") }), []string{"SHA256SUMS is cut off"}},
		"sums for binary files":    {sums(func(s string) string { return strings.ReplaceAll(s, "  ", " *") }), nil},
		"sums that are other text": {sums(func(s string) string { return s + "Not found\n" }), []string{added + "not a digest and a name"}},
		"a path out of the folder": {sums(func(s string) string { return s + zeros + "  ../../etc/passwd\n" }), []string{added + "../../etc/passwd is no name of a file in this folder"}},
		"a path from the root":     {sums(func(s string) string { return s + zeros + "  /etc/passwd\n" }), []string{added + "/etc/passwd is no name of a file in this folder"}},
		"the folder itself":        {sums(func(s string) string { return s + zeros + "  .\n" }), []string{added + ". is no name of a file in this folder"}},
		"a path in the folder":     {sums(func(s string) string { return s + zeros + "  ./images.txt\n" }), []string{added + "./images.txt is no name of a file in this folder"}},
		"a name with a quoted end": {sums(func(s string) string { return s + "\\" + zeros + "  a\\nb\n" }), []string{added + "not a digest and a name"}},
		"a name with a terminal's": {sums(func(s string) string { return s + zeros + "  a\x1b[2J\n" }), []string{added + `"a\x1b[2J" is no name`}},
		"an empty name":            {sums(func(s string) string { return s + zeros + "  \n" }), []string{added + " is no name"}},
		"an option for a name":     {sums(func(s string) string { return s + zeros + "  --help\n" }), []string{added + "--help is no name"}},
		"the same name twice":      {sums(func(s string) string { return s + s[:strings.Index(s, "\n")+1] }), []string{added + "harikube-image-v0.2.0-linux-amd64.tar is there twice"}},
		"sums of itself":           {sums(func(s string) string { return s + zeros + "  SHA256SUMS\n" }), []string{added + "SHA256SUMS cannot be in it"}},
		"a line less": {sums(func(s string) string { return s[strings.Index(s, "\n")+1:] }), []string{
			"harikube-image-v0.2.0-linux-amd64.tar is not a part of the release", "harikube-image-v0.2.0-linux-amd64.tar is in metadata.json and not in SHA256SUMS",
		}},
		"no lines":      {sums(func(string) string { return "" }), []string{"SHA256SUMS is empty"}},
		"no good lines": {sums(func(string) string { return "<html>\n" }), []string{"SHA256SUMS, line 1: not a digest and a name"}},

		"another digest in images.txt": {func(t *testing.T, f string) {
			rewrite(t, f, imagesFile, func(s string) string {
				return strings.Replace(s, "@sha256:", "@sha256:"+zeros[:4], 1)
			})
		}, []string{"images.txt has another digest of registry.example/harikube/harikube:v0.2.0 than metadata.json", "harikube-v0.2.0.intoto.json says nothing, or something else, of images.txt"}},
		"a manifest with another image": {func(t *testing.T, f string) {
			rewrite(t, f, manifestName, func(s string) string { return strings.Replace(s, "ghcr.example/vcluster-oss", "evil.example/x", 1) })
		}, []string{manifestName + " names the image evil.example/x:0.36.1, which is not in images.txt", "something else, of " + manifestName}},
		"a manifest with another digest": {func(t *testing.T, f string) {
			rewrite(t, f, manifestName, func(s string) string {
				return strings.Replace(s, "harikube:v0.2.0\n", "harikube:v0.2.0@sha256:"+zeros+"\n", 1)
			})
		}, []string{manifestName + " names the image registry.example/harikube/harikube:v0.2.0 with another digest", "something else, of " + manifestName}},
		"an archive of another image": {func(t *testing.T, f string) {
			content := read(t, f, "harikube-image-v0.2.0-linux-amd64.tar")
			rewrite(t, f, "harikube-image-v0.2.0-linux-arm64.tar", func(string) string { return content })
		}, []string{"harikube-image-v0.2.0-linux-arm64.tar has another image than metadata.json says", "something else, of harikube-image-v0.2.0-linux-arm64.tar"}},
		"an archive of nothing": {func(t *testing.T, f string) {
			rewrite(t, f, "harikube-image-v0.2.0.tar", func(string) string { return "x" })
		}, []string{"harikube-image-v0.2.0.tar is no archive of an image", "something else, of harikube-image-v0.2.0.tar"}},
		"another commit": {func(t *testing.T, f string) {
			var m metadata
			must(t, json.Unmarshal([]byte(read(t, f, metadataFile)), &m))
			rewrite(t, f, metadataFile, func(s string) string { return strings.Replace(s, m.Commit, zeros[:40], 1) })
		}, []string{"harikube-v0.2.0.intoto.json is about another commit"}},
		"metadata of something else": {func(t *testing.T, f string) {
			rewrite(t, f, metadataFile, func(string) string { return `{"name": "x"}` })
		}, []string{"metadata.json is not one of ours"}},
		"metadata with more in it": {func(t *testing.T, f string) {
			rewrite(t, f, metadataFile, func(s string) string { return strings.Replace(s, "{", `{"x": 1,`, 1) })
		}, []string{"metadata.json is not one of ours"}},
		"a size": {func(t *testing.T, f string) {
			rewrite(t, f, metadataFile, func(s string) string { return strings.Replace(s, `"size": `, `"size": 1`, 1) })
		}, []string{"has another size than metadata.json says"}},
		"signatures without one": {extra(signaturesFile), []string{"image-signatures.tar is there without SHA256SUMS.sig"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := copied(t)
			c.of(t, folder)
			_, err := verify(folder, nil)
			wantFaults(t, err, c.want...)
		})
	}
}

func TestVerifyOfNoFolder(t *testing.T) {
	_, err := verify(filepath.Join(t.TempDir(), "nothing"), nil)
	wantFault(t, err, "cannot be read: no such file or directory.")
	_, err = verify(filepath.Join(shared(t), imagesFile), nil)
	wantFault(t, err, "is not a folder")
	_, err = verify(t.TempDir(), nil)
	wantFault(t, err, "SHA256SUMS is missing")
}

// What a shell sees: a sentence for each fault, and the status.
func TestCommandSaysEachFaultOnALine(t *testing.T) {
	folder := copied(t)
	var out, faults bytes.Buffer
	t.Setenv("RELEASE_DIST", folder)
	if status := run([]string{"verify"}, &out, &faults); status != 0 || faults.Len() > 0 || !strings.HasSuffix(out.String(), "Nobody has signed it.\n") {
		t.Errorf("%d, %s%s", status, &out, &faults)
	}
	out.Reset()
	must(t, os.Remove(filepath.Join(folder, imagesFile)))
	must(t, os.WriteFile(filepath.Join(folder, "x"), nil, 0o644))
	if status := run([]string{"verify"}, &out, &faults); status != 1 || out.Len() > 0 ||
		faults.String() != "images.txt is missing.\nx is not a part of the release.\n" {
		t.Errorf("%d, %s%s", status, &out, &faults)
	}
	for _, args := range [][]string{nil, {"publish"}, {"verify", "folder"}, {"verify", "-x"}} {
		faults.Reset()
		if status := run(args, &out, &faults); status != 2 || faults.Len() == 0 {
			t.Errorf("%q: %d", args, status)
		}
	}
}

// Whatever SHA256SUMS has in it, no name that leads out of the folder is looked at.
func FuzzSums(f *testing.F) {
	zeros := strings.Repeat("0", 64)
	for _, seed := range []string{"", zeros + "  a\n", zeros + " *../a\r\n", zeros + "  a\n" + zeros + "  a", "\x00\n\n", zeros + "  a/../b\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sums, err := parseSums(text)
		for _, s := range sums {
			if strings.ContainsAny(s.name, "/\\\r\n\x00 ") || strings.HasPrefix(s.name, ".") || s.name == "" {
				t.Errorf("a name %q", s.name)
			}
		}
		if err == nil {
			again, err := parseSums(formatSums(sums))
			if err != nil || len(again) != len(sums) {
				t.Errorf("%q is read as %v, and that not", text, sums)
			}
		}
	})
}
