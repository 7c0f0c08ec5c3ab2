package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// jibs writes an archive as Jib does, with its own layer in front.
func jibs(t *testing.T, architecture string, layers ...[]*tar.Header) string {
	t.Helper()
	own := []*tar.Header{{Typeflag: tar.TypeReg, Name: "app/jib-classpath-file", Mode: 0o644}}
	config := v1.ConfigFile{OS: "linux", Architecture: architecture, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Labels: map[string]string{"org.opencontainers.image.version": "v1"}}}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	contents := contents{}
	for i, files := range slices.Concat([][]*tar.Header{own}, layers) {
		plain, packed := layer(t, files)
		diff, _, err := v1.SHA256(bytes.NewReader(plain))
		if err != nil {
			t.Fatal(err)
		}
		digest, size, err := v1.SHA256(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		contents.addText(blobName(digest), packed)
		manifest.Layers = append(manifest.Layers, v1.Descriptor{MediaType: types.OCILayer, Digest: digest, Size: size})
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diff)
		config.History = append(config.History, v1.History{Comment: []string{jibsOwn, "extra files"}[min(i, 1)]})
	}
	var err error
	if manifest.Config, err = contents.addJSON(config, types.OCIConfigJSON); err != nil {
		t.Fatal(err)
	}
	root, err := contents.addJSON(manifest, types.OCIManifestSchema1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jib.tar")
	if err := contents.write("localhost/jib:latest", root, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func layer(t *testing.T, files []*tar.Header) (plain, packed []byte) {
	t.Helper()
	var text, zipped bytes.Buffer
	out := tar.NewWriter(&text)
	for _, header := range files {
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(header.Name))
		}
		if err := out.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := out.Write([]byte(header.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	packer := gzip.NewWriter(&zipped)
	if _, err := packer.Write(text.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := packer.Close(); err != nil {
		t.Fatal(err)
	}
	return text.Bytes(), zipped.Bytes()
}

func finished(t *testing.T, architecture string, layers ...[]*tar.Header) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), architecture+".tar")
	if err := Finish("example.org/team/image:v1", jibs(t, architecture, layers...), path); err != nil {
		t.Fatal(err)
	}
	return path
}

var someFiles = []*tar.Header{
	{Typeflag: tar.TypeDir, Name: "bin/", Mode: 0o755},
	{Typeflag: tar.TypeReg, Name: "bin/program", Mode: 0o755},
	{Typeflag: tar.TypeSymlink, Name: "bin/link", Linkname: "program"},
	{Typeflag: tar.TypeDir, Name: "data/", Mode: 0o777},
	{Typeflag: tar.TypeReg, Name: "secret", Mode: 0o400},
}

func TestFinishAndJoin(t *testing.T) {
	first, second := finished(t, "amd64", someFiles), finished(t, "arm64", someFiles)
	joined := filepath.Join(t.TempDir(), "joined.tar")
	if err := Join("example.org/team/image:v1", joined, first, second); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again.tar")
	if err := Join("example.org/team/image:v1", again, first, second); err != nil {
		t.Fatal(err)
	}
	one, err := os.ReadFile(joined)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := os.ReadFile(again); err != nil || !bytes.Equal(one, two) {
		t.Errorf("two runs have given different bytes (%v)", err)
	}

	a, err := Open(joined)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Name() != "example.org/team/image:v1" {
		t.Errorf("its name is %q", a.Name())
	}
	sizes, err := a.Check()
	if err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 2 || sizes[0].Platform != "linux/amd64" || sizes[1].Platform != "linux/arm64" {
		t.Errorf("it has %v", sizes)
	}
	image, err := a.Image("arm64")
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) != 1 {
		t.Errorf("it has %d layers; Jib's own was to go", len(layers))
	}
	if _, err := a.Image("s390x"); err == nil {
		t.Error("an image was found for an architecture that it does not have")
	}
}

func TestCheckFindsADamage(t *testing.T) {
	path := finished(t, "amd64", someFiles)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(text, []byte{0x1f, 0x8b}) // gzip: a layer
	text[at+20] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Check(); err == nil || !strings.Contains(err.Error(), "is not what its name says") {
		t.Errorf("a changed byte in a layer gives %v", err)
	}
}

func TestDockersManifest(t *testing.T) {
	a, err := Open(finished(t, "amd64", someFiles))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	text, err := a.entry("manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var images []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(text, &images); err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 || !slices.Equal(images[0].RepoTags, []string{"example.org/team/image:v1"}) || len(images[0].Layers) != 1 {
		t.Fatalf("it has %v", images)
	}
	for _, name := range append(images[0].Layers, images[0].Config) {
		if _, err := a.entry(name); err != nil {
			t.Error(err)
		}
	}
}

func TestUnpack(t *testing.T) {
	owned := append(slices.Clone(someFiles), &tar.Header{Typeflag: tar.TypeReg, Name: "owned", Mode: 0o640, Uid: 12, Gid: 34})
	later := []*tar.Header{{Typeflag: tar.TypeReg, Name: "bin/program", Mode: 0o700}}
	a, err := Open(finished(t, "amd64", owned, later))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	image, err := a.Image("amd64")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "root")
	if err := Unpack(image, folder); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"bin": os.ModeDir | 0o755, "bin/program": 0o700, "data": os.ModeDir | 0o777,
		"secret": 0o400, "owned": 0o640} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("%s has the mode %v; want %v", name, info.Mode(), mode)
		}
	}
	if link, err := os.Readlink(filepath.Join(folder, "bin/link")); err != nil || link != "program" {
		t.Errorf("the link leads to %q (%v)", link, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED that files get their owners: that takes root's rights")
	}
	if uid, gid := ownerOf(t, filepath.Join(folder, "owned")); uid != 12 || gid != 34 {
		t.Errorf("it belongs to %d:%d", uid, gid)
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	for name, files := range map[string][]*tar.Header{
		"by a path": {{Typeflag: tar.TypeReg, Name: "../outside", Mode: 0o644}},
		"by a link": {{Typeflag: tar.TypeSymlink, Name: "link", Linkname: ".."}, {Typeflag: tar.TypeReg, Name: "link/outside", Mode: 0o644}},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Open(finished(t, "amd64", files))
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			image, err := a.Image("amd64")
			if err != nil {
				t.Fatal(err)
			}
			above := t.TempDir()
			if err := Unpack(image, filepath.Join(above, "root")); err == nil {
				t.Error("it was unpacked")
			}
			if _, err := os.Stat(filepath.Join(above, "outside")); err == nil {
				t.Error("there is a file outside")
			}
		})
	}
}
