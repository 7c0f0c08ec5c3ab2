// Package built tests what `make images` has written: what is in the archives, that they run as they say, that a registry takes
// them, and that they are the same when they are built again. `make test-images` builds what it needs.
package built

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"harikube.io/images/tools/archive"
	"harikube.io/images/tools/container"
)

// The folder of the archives, and the one of the programs.
var (
	images = setting("HARIKUBE_IMAGES", "../../../build/images")
	bin    = setting("HARIKUBE_BIN", "../../../build/bin")
	minor  = setting("HARIKUBE_K8S", "1.37")
	host   = runtime.GOARCH
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

func serverArchive(architecture string) string {
	return filepath.Join(images, "harikube-linux-"+architecture+".tar")
}

func kubernetesArchive(architecture string) string {
	return filepath.Join(images, "kubernetes-"+minor+"-linux-"+architecture+".tar")
}

// architecturesOf are those for which an image has to be there. To compile Kubernetes for another one takes some minutes, so that
// only `make test-images-all` does it.
func architecturesOf(name string) []string {
	if name == "kubernetes" && os.Getenv("HARIKUBE_IMAGES_ALL") == "" {
		return []string{host}
	}
	return []string{"amd64", "arm64"}
}

// opened is the one image of an archive.
func opened(t *testing.T, path string) v1.Image {
	t.Helper()
	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	images, err := a.Images()
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 {
		t.Fatalf("%s has %d images; one was expected", path, len(images))
	}
	return images[0]
}

func configOf(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// unpacked lays an archive's image out once for all tests.
func unpacked(t *testing.T, path string) string {
	t.Helper()
	image := opened(t, path)
	unpackedLock.Lock()
	defer unpackedLock.Unlock()
	folder, ok := unpackedFolders[path]
	if !ok {
		var err error
		if folder, err = os.MkdirTemp("", "image-*"); err != nil {
			t.Fatal(err)
		}
		// MkdirTemp makes it for root alone; in a root folder everybody may look.
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := archive.Unpack(image, folder); err != nil {
			t.Fatal(err)
		}
		unpackedFolders[path] = folder
	}
	return folder
}

var (
	unpackedLock    sync.Mutex
	unpackedFolders = map[string]string{}
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, folder := range unpackedFolders {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

// needContainers skips what cannot be seen without root's rights.
func needContainers(t *testing.T) {
	t.Helper()
	if !container.Possible() {
		t.Skip("NOT TESTED that the images run as they say: a root of their own takes root's rights")
	}
}

// inContainer is a command that runs an unpacked image: options of `image run`, then the arguments of the image.
func inContainer(t *testing.T, path string, options []string, arguments ...string) *exec.Cmd {
	t.Helper()
	needContainers(t)
	all := append([]string{"run"}, options...)
	all = append(all, path, unpacked(t, path))
	return exec.Command(filepath.Join(bin, "image"), append(all, arguments...)...)
}

func output(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", command.Args, err, stdout.String(), stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("%v says on stderr: %s", command.Args, stderr.String())
	}
	return stdout.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// within waits for something that a process will do.
func within(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
