package archive

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestPack(t *testing.T) {
	folder := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin": 0o755, "tmp": os.ModeSticky | 0o777} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(folder, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(folder, "bin", "program")
	if err := os.WriteFile(program, []byte("contents"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("program", filepath.Join(folder, "bin", "link")); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	first, second := filepath.Join(out, "first.tar"), filepath.Join(out, "second.tar")
	config := v1.Config{Entrypoint: []string{"/bin/program"}, Cmd: []string{"-v"}, Env: []string{"PATH=/bin"}, User: "12:34",
		StopSignal: "SIGINT"}
	if err := Pack("example.org/team/image:v1", "arm64", config, folder, first); err != nil {
		t.Fatal(err)
	}
	// Another time and another owner make no difference.
	long := time.Unix(1, 0)
	if err := os.Chtimes(program, long, long); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(program, 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	if err := Pack("example.org/team/image:v1", "arm64", config, folder, second); err != nil {
		t.Fatal(err)
	}
	one, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := os.ReadFile(second); err != nil || !bytes.Equal(one, two) {
		t.Errorf("two runs have given different bytes (%v)", err)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 2 {
		t.Errorf("beside the two archives there are %v (%v)", left, err)
	}

	a, err := Open(first)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Name() != "example.org/team/image:v1" {
		t.Errorf("its name is %q", a.Name())
	}
	if sizes, err := a.Check(); err != nil || len(sizes) != 1 || sizes[0].Platform != "linux/arm64" {
		t.Errorf("it has %v (%v)", sizes, err)
	}
	image, err := a.Image("arm64")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := packed.Config; !slices.Equal(got.Entrypoint, config.Entrypoint) || !slices.Equal(got.Cmd, config.Cmd) ||
		!slices.Equal(got.Env, config.Env) || got.User != config.User || got.StopSignal != config.StopSignal {
		t.Errorf("its configuration is %+v; want %+v", got, config)
	}
	root := filepath.Join(t.TempDir(), "root")
	if err := Unpack(image, root); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(root, "bin/link")); err != nil || string(text) != "contents" {
		t.Errorf("the link leads to %q (%v)", text, err)
	}
	if info, err := os.Stat(filepath.Join(root, "tmp")); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("the folder for all is %v (%v)", info, err)
	}
	if uid, gid := ownerOf(t, filepath.Join(root, "bin/program")); int(uid) != os.Geteuid() || int(gid) != os.Getegid() {
		t.Errorf("the program belongs to %d:%d", uid, gid)
	}
}

func TestTheNameIsTheOneOfTheRuntimes(t *testing.T) {
	for reference, want := range map[string]string{
		"docker.io/library/postgres:18": "docker.io/library/postgres:18",
		"postgres":                      "docker.io/library/postgres:latest",
		"quay.io/team/image:v1":         "quay.io/team/image:v1",
		"localhost/team/image:v1":       "localhost/team/image:v1",
	} {
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := Pack(reference, "amd64", v1.Config{}, t.TempDir(), path); err != nil {
			t.Fatal(err)
		}
		a, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if a.Name() != want {
			t.Errorf("the name of %s is %s; want %s", reference, a.Name(), want)
		}
		a.Close()
	}
}

func TestPackRefusesWhatIsNoFile(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "image.tar")
	if err := Pack("example.org/team/image:v1", "amd64", v1.Config{}, folder, to); err == nil {
		t.Error("a pipe was packed")
	}
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		t.Errorf("an archive has been left (%v)", err)
	}
}
