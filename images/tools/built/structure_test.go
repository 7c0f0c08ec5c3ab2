package built

import (
	"archive/tar"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"harikube.io/images/tools/archive"
)

// What an image may have and has to have.
type structure struct {
	archive func(architecture string) string
	most    int64 // bytes, compressed
	user    string
	volumes []string
	// files has an expression for each kind of file, and whether those are programs. Each has to match one at least.
	files map[string]bool
	// open are folders that everybody may write into.
	open []string
}

var structures = map[string]structure{
	"harikube": {
		archive: serverArchive,
		most:    90_000_000,
		user:    "65532:65532",
		volumes: []string{"/data", "/tmp"},
		open:    []string{"data", "tmp"},
		files: map[string]bool{
			`etc/(passwd|group|nsswitch\.conf)`:                                        false,
			`lib(64)?/ld-linux-(x86-64\.so\.2|aarch64\.so\.1)`:                         true,
			`lib/(x86_64|aarch64)-linux-gnu/lib(c|m|dl|pthread|rt|resolv)\.so\.[0-9]+`: false,
			`usr/share/doc/libc6/copyright`:                                            false,
			`var/lib/dpkg/status\.d/libc6`:                                             false,
			`java/bin/(java|jcmd|jfr)`:                                                 true,
			`java/lib/jspawnhelper`:                                                    true,
			`java/release`:                                                             false,
			`java/(conf|legal)/.*`:                                                     false,
			`java/lib/(server/|jfr/|security/)?[^/]+`:                                  false,
			`harikube/lib/[^/]+\.jar`:                                                  false,
			`harikube/lib/libsqlitejdbc\.so`:                                           false,
			`harikube/class-path`:                                                      false,
		},
	},
	"kubernetes": {
		archive: kubernetesArchive,
		most:    120_000_000,
		user:    "65534:65534",
		files: map[string]bool{
			`etc/(passwd|group|nsswitch\.conf)`: false,
			`bin/(cp|certificates)`:             true,
			`kubernetes/(kube-apiserver|kube-controller-manager|kube-scheduler|kube-proxy)`: true,
		},
	},
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

func forEachImage(t *testing.T, test func(t *testing.T, want structure, architecture string, image v1.Image)) {
	for name, want := range structures {
		for _, architecture := range architecturesOf(name) {
			t.Run(name+"/"+architecture, func(t *testing.T) {
				test(t, want, architecture, opened(t, want.archive(architecture)))
			})
		}
	}
}

func TestWhatTheImagesSay(t *testing.T) {
	forEachImage(t, func(t *testing.T, want structure, architecture string, image v1.Image) {
		config := configOf(t, image)
		if config.OS != "linux" || config.Architecture != architecture {
			t.Errorf("it is for %s/%s", config.OS, config.Architecture)
		}
		if config.Config.User != want.user {
			t.Errorf("its user is %q; want %q", config.Config.User, want.user)
		}
		var volumes []string
		for volume := range config.Config.Volumes {
			volumes = append(volumes, volume)
		}
		slices.Sort(volumes)
		if !slices.Equal(volumes, want.volumes) {
			t.Errorf("its volumes are %v; want %v", volumes, want.volumes)
		}
		labels := config.Config.Labels
		for _, name := range []string{"version", "revision", "created", "source", "licenses", "title", "description"} {
			if value := labels["org.opencontainers.image."+name]; value == "" || value == "unknown" {
				t.Errorf("the label %s is %q", name, value)
			}
		}
		created, err := time.Parse(time.RFC3339, labels["org.opencontainers.image.created"])
		if err != nil {
			t.Error(err)
		}
		if !config.Created.Equal(created) || created.After(time.Now()) {
			t.Errorf("it was made at %v, and says %v", config.Created, created)
		}
	})
}

func TestTheServersEntryPointNamesWhatAJvmWouldChoose(t *testing.T) {
	for architecture := range machines {
		entry := configOf(t, opened(t, serverArchive(architecture))).Config.Entrypoint
		if len(entry) == 0 || entry[0] != "/java/bin/java" || entry[len(entry)-1] != "io.harikube.cli.Main" {
			t.Fatalf("the entry point is %q", entry)
		}
		for _, option := range []string{"-XX:+UseG1GC", "-XX:MaxRAMPercentage=50"} {
			if !slices.Contains(entry, option) {
				t.Errorf("the entry point has no %s", option)
			}
		}
		if slices.Contains(entry, "-XX:SharedArchiveFile=/harikube/harikube.jsa") != (architecture == host) {
			t.Errorf("for %s the entry point is %q", architecture, entry)
		}
	}
}

// The launcher and the image have to start the same JVM: what one has is in the other.
func TestTheEntryPointHasTheOptionsOfTheLauncher(t *testing.T) {
	launcher, err := os.ReadFile("../../../server/src/main/launcher/harikube")
	if err != nil {
		t.Fatal(err)
	}
	_, command, found := strings.Cut(string(launcher), "exec \"$home/bin/java\" \\\n")
	if !found {
		t.Fatal("the launcher does not start java as it did")
	}
	command, _, _ = strings.Cut(command, "$cache")
	entry := configOf(t, opened(t, serverArchive(host))).Config.Entrypoint
	options := 0
	for option := range strings.FieldsSeq(strings.ReplaceAll(command, "\\\n", "")) {
		option = strings.ReplaceAll(option, `"$lib"`, "/harikube/lib")
		options++
		if !slices.Contains(entry, option) {
			t.Errorf("the entry point lacks the launcher's %s", option)
		}
	}
	if options < 5 {
		t.Errorf("only %d options were found in the launcher", options)
	}
}

func TestSizes(t *testing.T) {
	forEachImage(t, func(t *testing.T, want structure, architecture string, _ v1.Image) {
		a, err := archive.Open(want.archive(architecture))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		sizes, err := a.Check()
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range sizes {
			t.Logf("%s: %s compressed, %s unpacked", size.Platform, megabytes(size.Compressed), megabytes(size.Files))
			if size.Compressed > want.most {
				t.Errorf("%s compressed; at most %s were promised", megabytes(size.Compressed), megabytes(want.most))
			}
		}
	})
}

func TestFiles(t *testing.T) {
	forEachImage(t, func(t *testing.T, want structure, architecture string, image v1.Image) {
		expected := map[string]bool{`harikube/harikube\.jsa`: false}
		if architecture != host || want.user != "65532:65532" {
			expected = map[string]bool{}
		}
		for expression, program := range want.files {
			expected[expression] = program
		}
		seen := map[string]bool{}
		eachFile(t, image, func(header *tar.Header) {
			name := strings.TrimSuffix(header.Name, "/")
			if header.Uid != 0 || header.Gid != 0 {
				t.Errorf("%s belongs to %d:%d", name, header.Uid, header.Gid)
			}
			mode := header.FileInfo().Mode()
			if header.Typeflag == tar.TypeDir {
				right := fs.ModeDir | 0o755
				if slices.Contains(want.open, name) {
					right = fs.ModeDir | 0o777
				}
				if mode != right {
					t.Errorf("the folder %s has the mode %v; want %v", name, mode, right)
				}
				return
			}
			matched := slices.Collect(matching(expected, name))
			if len(matched) == 0 {
				t.Errorf("%s is not expected in the image", name)
				return
			}
			right := fs.FileMode(0o644)
			for _, expression := range matched {
				seen[expression] = true
				if expected[expression] {
					right = 0o755
				}
			}
			if header.Typeflag != tar.TypeReg || mode != right {
				t.Errorf("%s has the mode %v; want %v", name, mode, right)
			}
		})
		for expression := range expected {
			if !seen[expression] {
				t.Errorf("nothing in the image is %s", expression)
			}
		}
	})
}

func matching(expressions map[string]bool, name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for expression := range expressions {
			if regexp.MustCompile("^"+expression+"$").MatchString(name) && !yield(expression) {
				return
			}
		}
	}
}

func eachFile(t *testing.T, image v1.Image, do func(*tar.Header)) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		contents, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		files := tar.NewReader(contents)
		for {
			header, err := files.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			do(header)
		}
		contents.Close()
	}
}

// Every program and library is for the architecture of the image, and libraries find what they need in it.
func TestMachines(t *testing.T) {
	forEachImage(t, func(t *testing.T, want structure, architecture string, _ v1.Image) {
		root := unpacked(t, want.archive(architecture))
		binaries, needed, there := 0, map[string]string{}, map[string]bool{}
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			file, err := elf.Open(path)
			var notElf *elf.FormatError
			if errors.As(err, &notElf) || errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			defer file.Close()
			binaries++
			there[entry.Name()] = true
			if file.Machine != machines[architecture] {
				t.Errorf("%s is for %v", path, file.Machine)
			}
			libraries, err := file.ImportedLibraries()
			if err != nil {
				return err
			}
			for _, library := range libraries {
				needed[library] = entry.Name()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if binaries < 5 {
			t.Errorf("only %d programs and libraries were found", binaries)
		}
		for library, by := range needed {
			if !there[library] {
				t.Errorf("%s needs %s, which is not in the image", by, library)
			}
		}
	})
}

// What runtimes look for when an archive is imported.
func TestNames(t *testing.T) {
	for _, path := range []string{serverArchive(host), filepath.Join(images, "harikube.tar"), kubernetesArchive(host)} {
		a, err := archive.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if !regexp.MustCompile(`^[a-z0-9./-]+/(harikube:|kubernetes:v1\.[0-9]+\.[0-9]+-)v[0-9.]+(-[a-z0-9.]+)?$`).MatchString(a.Name()) {
			t.Errorf("%s is imported as %q", path, a.Name())
		}
		if strings.Contains(path, "-linux-") != slices.Contains(a.Names(), "manifest.json") {
			t.Errorf("%s: docker load takes an archive of one architecture by its manifest.json, and no other", path)
		}
	}
}

func TestTheIndexHasBothArchitectures(t *testing.T) {
	a, err := archive.Open(filepath.Join(images, "harikube.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	manifest, err := a.Index().IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, image := range manifest.Manifests {
		platforms = append(platforms, image.Platform.String())
		alone, err := archive.Open(serverArchive(image.Platform.Architecture))
		if err != nil {
			t.Fatal(err)
		}
		if alone.Root().Digest != image.Digest {
			t.Errorf("%s is another image in the archive of its own", image.Platform)
		}
		alone.Close()
	}
	if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("it has %v", platforms)
	}
	if manifest.Annotations["org.opencontainers.image.revision"] == "" {
		t.Error("the index does not say of which commit it is")
	}
}

func TestTheSameAgain(t *testing.T) {
	again := os.Getenv("HARIKUBE_IMAGES_AGAIN")
	if again == "" {
		t.Skip("NOT TESTED that images are the same when they are built again: HARIKUBE_IMAGES_AGAIN is not set")
	}
	archives, err := filepath.Glob(filepath.Join(again, "*.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(archives) < 3 {
		t.Fatalf("%s has only %d archives", again, len(archives))
	}
	for _, path := range archives {
		first := filepath.Join(images, filepath.Base(path))
		if sum(t, first) != sum(t, path) {
			t.Errorf("%s is not the same in both folders: %s", filepath.Base(path), difference(t, first, path))
		}
	}
}

// difference names the layers that differ.
func difference(t *testing.T, first, second string) string {
	t.Helper()
	configs := [2]string{}
	for i, path := range []string{first, second} {
		a, err := archive.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		all, err := a.Images()
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range all {
			text, err := json.Marshal(configOf(t, image))
			if err != nil {
				t.Fatal(err)
			}
			configs[i] += string(text) + "\n"
		}
	}
	return fmt.Sprintf("\n%s%s", configs[0], configs[1])
}
