package built

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"harikube.io/images/tools/archive"
)

// The registries: each is a program of its own that speaks what registries speak.
var registries = map[string]func(t *testing.T, port string) *exec.Cmd{
	// The one of the library that also pushes.
	"go-containerregistry": func(t *testing.T, port string) *exec.Cmd {
		return exec.Command(program(t, "HARIKUBE_REGISTRY"), "-port", port)
	},
	// The one that most registries are made of.
	"distribution": func(t *testing.T, port string) *exec.Cmd {
		config := filepath.Join(t.TempDir(), "config.yml")
		text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: '127.0.0.1:%s'}\n",
			t.TempDir(), port)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(program(t, "HARIKUBE_DISTRIBUTION"), "serve", config)
	},
}

func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("NOT TESTED with this one: %s names no program", variable)
	}
	return path
}

func TestPush(t *testing.T) {
	for kind := range registries {
		t.Run(kind, func(t *testing.T) {
			address := startRegistry(t, kind)
			pushAndPull(t, filepath.Join(images, "harikube.tar"), address+"/team/harikube:v1.2.3")
			if kind == "distribution" {
				pushAndPull(t, kubernetesArchive(host), address+"/team/kubernetes:v1.37.2-v1.2.3")
			}
		})
	}
}

// startRegistry answers the address of one that runs as long as the test.
func startRegistry(t *testing.T, kind string) string {
	t.Helper()
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	command := registries[kind](t, port)
	var log lines
	command.Stdout, command.Stderr = &log, &log
	check(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	within(t, 30*time.Second, "the registry answers", func() bool {
		response, err := http.Get("http://" + address + "/v2/")
		if err == nil {
			response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusOK
	})
	return address
}

func pushAndPull(t *testing.T, path, reference string) {
	t.Helper()
	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	want := a.Root()
	pushed := strings.TrimSpace(output(t, exec.Command(filepath.Join(bin, "image"), "push", "-insecure", path, reference)))
	if pushed != reference+"@"+want.Digest.String() {
		t.Errorf("push prints %q", pushed)
	}

	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Get(tag)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.Digest || got.MediaType != want.MediaType || got.Size != want.Size {
		t.Errorf("pushed %v, and there is %v", want, got.Descriptor)
	}
	pulled := []v1.Image{}
	if want.MediaType.IsIndex() {
		index, err := got.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, descriptor := range manifest.Manifests {
			image, err := index.Image(descriptor.Digest)
			if err != nil {
				t.Fatal(err)
			}
			pulled = append(pulled, image)
		}
	} else {
		image, err := got.Image()
		if err != nil {
			t.Fatal(err)
		}
		pulled = append(pulled, image)
	}
	local, err := a.Images()
	if err != nil {
		t.Fatal(err)
	}
	if len(pulled) != len(local) {
		t.Fatalf("%d images were pulled, %d pushed", len(pulled), len(local))
	}
	for i, image := range pulled {
		// All of it comes, and is what the digests say.
		if err := validate.Image(image); err != nil {
			t.Error(err)
		}
		first, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if second, err := local[i].Digest(); err != nil || first != second {
			t.Errorf("pushed %v, pulled %v (%v)", second, first, err)
		}
	}
}
