package stack

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"harikube.io/images/tools/archive"
)

// Where `make` has written what is tested here.
var (
	images    = setting("HARIKUBE_IMAGES", "../../../build/images")
	manifests = setting("HARIKUBE_MANIFESTS", "../../../build/manifests")
	bin       = setting("HARIKUBE_BIN", "../../../build/bin")
	version   = setting("HARIKUBE_VERSION", "v0.0.0-dev")
)

func setting(name, otherwise string) string {
	value := os.Getenv(name)
	if value == "" {
		value = otherwise
	}
	if strings.ContainsRune(value, '/') {
		value, _ = filepath.Abs(value)
	}
	return value
}

// manifest is what a pod is made of.
type manifest struct {
	set     appsv1.StatefulSet
	secrets map[string]map[string]string
}

// readManifest reads a file strictly: a field that Kubernetes does not know is an error.
func readManifest(t *testing.T, name string) *manifest {
	t.Helper()
	path := filepath.Join(manifests, name)
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		t.Skipf("NOT TESTED that the manifest is a whole that runs: %s is not there (make test-stack)", path)
	}
	check(t, err)
	m := &manifest{secrets: map[string]map[string]string{}}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var kind struct{ Kind string }
		check(t, yaml.Unmarshal([]byte(document), &kind))
		switch kind.Kind {
		case "StatefulSet":
			check(t, yaml.UnmarshalStrict([]byte(document), &m.set))
		case "Secret":
			var secret corev1.Secret
			check(t, yaml.UnmarshalStrict([]byte(document), &secret))
			m.secrets[secret.Name] = secret.StringData
		}
	}
	if m.set.Name == "" {
		t.Fatalf("%s has no StatefulSet", path)
	}
	return m
}

// image is an unpacked one.
type image struct {
	folder string
	config v1.Config
}

var unpacked = map[string]image{}

func removeImages() {
	for _, image := range unpacked {
		_ = os.RemoveAll(image.folder)
	}
}

// imageOf is the image that has the name that the manifest says; it is laid out once for all tests.
func imageOf(t *testing.T, name string) image {
	t.Helper()
	if image, ok := unpacked[name]; ok {
		return image
	}
	paths, err := filepath.Glob(filepath.Join(images, "*-linux-"+runtime.GOARCH+".tar"))
	check(t, err)
	names := []string{}
	for _, path := range paths {
		a, err := archive.Open(path)
		check(t, err)
		defer a.Close()
		if a.Name() != name {
			names = append(names, a.Name())
			continue
		}
		packed, err := a.Image(runtime.GOARCH)
		check(t, err)
		config, err := packed.ConfigFile()
		check(t, err)
		folder, err := os.MkdirTemp("", "image-*")
		check(t, err)
		unpacked[name] = image{folder, config.Config}
		// MkdirTemp makes it for root alone; in a root folder everybody may look.
		check(t, os.Chmod(folder, 0o755))
		check(t, archive.Unpack(packed, folder))
		return unpacked[name]
	}
	t.Fatalf("the manifest says %s; %s has %v", name, images, names)
	return image{}
}
