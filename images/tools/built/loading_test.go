package built

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	containerd "github.com/containerd/containerd/v2/core/images"
	importing "github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"harikube.io/images/tools/archive"
)

// TestContainerdImports is what `ctr images import` does, by the same code, into a store without a daemon.
func TestContainerdImports(t *testing.T) {
	for path, architectures := range map[string][]string{
		filepath.Join(images, "harikube.tar"): {"amd64", "arm64"},
		serverArchive(host):                   {host},
		kubernetesArchive(host):               {host},
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			ours, err := archive.Open(path)
			check(t, err)
			defer ours.Close()
			store, err := local.NewStore(t.TempDir())
			check(t, err)
			file, err := os.Open(path)
			check(t, err)
			defer file.Close()
			ctx := context.Background()
			index, err := importing.ImportIndex(ctx, store, file)
			check(t, err)

			var top ocispec.Index
			text, err := content.ReadBlob(ctx, store, index)
			check(t, err)
			check(t, json.Unmarshal(text, &top))
			if len(top.Manifests) != 1 {
				t.Fatalf("%d images were imported", len(top.Manifests))
			}
			root := top.Manifests[0]
			if root.Annotations[containerd.AnnotationImageName] != ours.Name() || root.Digest.String() != ours.Root().Digest.String() {
				t.Errorf("imported as %v; want %s of %s", root, ours.Name(), ours.Root().Digest)
			}
			// All that the image is made of is in the store.
			blobs := 0
			check(t, containerd.Walk(ctx, containerd.HandlerFunc(func(ctx context.Context, blob ocispec.Descriptor) ([]ocispec.Descriptor, error) {
				blobs++
				if info, err := store.Info(ctx, blob.Digest); err != nil || info.Size != blob.Size {
					t.Errorf("%s of %d bytes: %v (%v)", blob.Digest, blob.Size, info, err)
				}
				return containerd.Children(ctx, store, blob)
			}), root))
			if least := 5 * len(architectures); blobs < least {
				t.Errorf("only %d blobs were found", blobs)
			}
			platforms, err := containerd.Platforms(ctx, store, root)
			check(t, err)
			var got []string
			for _, platform := range platforms {
				got = append(got, platform.OS+"/"+platform.Architecture)
			}
			slices.Sort(got)
			var want []string
			for _, architecture := range architectures {
				want = append(want, "linux/"+architecture)
			}
			if !slices.Equal(got, want) {
				t.Errorf("it is for %v; want %v", got, want)
			}
		})
	}
}

// TestCranePushes: crane itself takes the form of `docker save`, so that the image is the same, in a manifest of crane's making.
func TestCranePushes(t *testing.T) {
	crane := program(t, "HARIKUBE_CRANE")
	address := startRegistry(t, "go-containerregistry")
	for repository, path := range map[string]string{"harikube": serverArchive(host), "kubernetes": kubernetesArchive(host)} {
		tag, err := name.NewTag(address+"/team/"+repository+":v1.2.3", name.Insecure)
		check(t, err)
		command := exec.Command(crane, "push", path, tag.Name())
		said, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("crane push: %v\n%s", err, said)
		}
		pulled, err := remote.Image(tag)
		check(t, err)
		check(t, validate.Image(pulled))
		if digest := digestOf(t, pulled); !strings.Contains(string(said), tag.Context().Name()+"@"+digest.String()) {
			t.Errorf("crane says %q, and there is %s", said, digest)
		}
		want, err := opened(t, path).ConfigName()
		check(t, err)
		if got, err := pulled.ConfigName(); err != nil || got != want {
			t.Errorf("%s: the configuration is %s, not %s (%v)", repository, got, want, err)
		}
	}
}

func digestOf(t *testing.T, image v1.Image) v1.Hash {
	t.Helper()
	digest, err := image.Digest()
	check(t, err)
	return digest
}

// TestDockerLoads needs Docker's daemon.
func TestDockerLoads(t *testing.T) {
	if said, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED that `docker load` takes the archives: %v\n%s", err, said)
	}
	for path, arguments := range map[string][]string{
		serverArchive(host):     {"version"},
		kubernetesArchive(host): {"/kubernetes/kube-apiserver", "--version"},
	} {
		a, err := archive.Open(path)
		check(t, err)
		defer a.Close()
		docker := func(arguments ...string) string {
			t.Helper()
			said, err := exec.Command("docker", arguments...).CombinedOutput()
			if err != nil {
				t.Fatalf("docker %v: %v\n%s", arguments, err, said)
			}
			return string(said)
		}
		if exec.Command("docker", "image", "inspect", a.Name()).Run() != nil {
			defer docker("image", "rm", a.Name())
		}
		if said := docker("load", "--input", path); !strings.Contains(said, "Loaded image: "+a.Name()) {
			t.Errorf("docker load says %q", said)
		}
		run := append([]string{"run", "--rm", "--read-only", "--network=none", "--tmpfs=/tmp", a.Name()}, arguments...)
		said := docker(run...)
		if !strings.HasPrefix(said, "harikube ") && !strings.HasPrefix(said, "Kubernetes v"+minor+".") {
			t.Errorf("docker %v says %q", run, said)
		}
	}
}

// TestCtrImports needs containerd's daemon; what ctr sends to it TestContainerdImports has without.
func TestCtrImports(t *testing.T) {
	if said, err := exec.Command("ctr", "version").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED that `ctr images import` takes the archives: %v\n%s", err, said)
	}
	const namespace = "--namespace=harikube-test"
	for _, path := range []string{filepath.Join(images, "harikube.tar"), kubernetesArchive(host)} {
		a, err := archive.Open(path)
		check(t, err)
		defer a.Close()
		ctr := func(arguments ...string) string {
			t.Helper()
			said, err := exec.Command("ctr", append([]string{namespace}, arguments...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("ctr %v: %v\n%s", arguments, err, said)
			}
			return string(said)
		}
		ctr("images", "import", path)
		defer ctr("images", "rm", a.Name())
		if list := ctr("images", "ls"); !strings.Contains(list, a.Name()) || !strings.Contains(list, a.Root().Digest.String()) {
			t.Errorf("%s at %s is not among the images:\n%s", a.Name(), a.Root().Digest, list)
		}
	}
}
