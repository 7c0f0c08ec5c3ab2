package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"golang.org/x/mod/modfile"
	"golang.org/x/sys/unix"
)

type distOptions struct {
	root, version, images, manifests, bom, lib, out string
	minors                                          []string
	anyRevision                                     bool // of tests, whose tree need not be a commit's
}

// artifact is a file of a release, as metadata.json has it.
type artifact struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	OS     string `json:"os,omitempty"`
	Arch   string `json:"arch,omitempty"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Image  string `json:"image,omitempty"`  // the name of an image in the archive
	Digest string `json:"digest,omitempty"` // what a registry knows that image by
}

// forAll: it is the archive of an image for all platforms.
func (a artifact) forAll() bool { return a.Kind == kindImage && strings.Contains(a.Arch, ",") }

// metadata is the whole of metadata.json.
type metadata struct {
	Name      string     `json:"name"`
	Version   string     `json:"version"`
	Commit    string     `json:"commit"`
	Time      string     `json:"time"` // of the commit
	Artifacts []artifact `json:"artifacts"`
}

// Kinds of artifacts.
const (
	kindManifest   = "manifest"
	kindManifests  = "manifests" // an archive of all
	kindMonitoring = "monitoring"
	kindChart      = "chart"
	kindPatch      = "patch"
	kindImage      = "image"
	kindServer     = "server"
	kindImages     = "images"
	kindBOM        = "sbom"
	kindProvenance = "provenance"
	kindNotes      = "notes"
)

func distCommand(o distOptions, stdout io.Writer) error {
	s, err := check(o.root, o.version)
	if err != nil {
		return err
	}
	return makeDist(s, o, stdout)
}

// makeDist fills a folder beside the one that is wanted, judges it as whoever downloads it will, and puts it in the place of that
// one: at every moment there is the whole of one or of the other.
func makeDist(s *source, o distOptions, stdout io.Writer) error {
	out := s.path(o.out)
	unlock, err := lock(filepath.Dir(out))
	if err != nil {
		return err
	}
	defer unlock()
	if err := replaceable(out); err != nil {
		return err
	}
	// What a run left that was killed.
	leftovers, err := filepath.Glob(globQuote(out) + ".new-*")
	if err != nil {
		return err
	}
	for _, l := range leftovers {
		if err := os.RemoveAll(l); err != nil {
			return err
		}
	}
	folder, err := os.MkdirTemp(filepath.Dir(out), filepath.Base(out)+".new-")
	if err != nil {
		return fmt.Errorf("A release cannot be written: %w.", err)
	}
	defer os.RemoveAll(folder)
	defer removeWhenInterrupted(folder)()
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	d := &dist{source: s, options: o, folder: folder, stdout: stdout, runtimes: map[string]string{}}
	if err := d.fill(); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return fmt.Errorf("The disk is full; %s is as it was: %w.", o.out, err)
		}
		return err
	}
	if err := exchange(folder, out); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s has %s: %d files, %d MB.\n", o.out, s.version, len(d.artifacts)+2, d.size()>>20)
	if len(s.kept) == 0 {
		fmt.Fprintf(stdout, "Its manifests are not kept yet: `make keep-manifests VERSION=%s`, and commit them before the tag.\n", s.version)
	}
	return nil
}

// dist is a release that is being made.
type dist struct {
	*source
	options   distOptions
	folder    string
	stdout    io.Writer
	artifacts []artifact
	images    []imageDigest
	minors    []minor
	settings  map[string]string
	manifests map[string][]byte
	runtimes  map[string]string // the version of the Java runtime, by architecture
}

// imageDigest is an image of ours, and what a registry will know it by.
type imageDigest struct {
	ref, digest string
	platforms   []artifact // of each platform, with its own digest
}

func (d *dist) size() int64 {
	var sum int64
	for _, a := range d.artifacts {
		sum += a.Size
	}
	return sum
}

func (d *dist) say(format string, args ...any) {
	fmt.Fprintf(d.stdout, "Release "+d.version+": "+format+"\n", args...)
}

func (d *dist) fill() error {
	var err error
	if d.settings, err = d.readSettings(); err != nil {
		return err
	}
	if d.minors, err = d.findMinors(); err != nil {
		return err
	}
	if d.manifests, err = readManifests(d.path(d.options.manifests), d.version); err != nil {
		return err
	}
	if err := d.checkKept(d.manifests); err != nil {
		return err
	}
	java, err := d.readJava()
	if err != nil {
		return err
	}
	d.say("manifests and patches")
	if err := d.addManifests(); err != nil {
		return err
	}
	if err := d.addPatches(); err != nil {
		return err
	}
	d.say("images, and what they consist of")
	if err := d.addImages(java); err != nil {
		return err
	}
	d.say("the server as archives")
	if err := d.addServer(java); err != nil {
		return err
	}
	if err := d.addImagesList(); err != nil {
		return err
	}
	if err := d.addOtherBOMs(); err != nil {
		return err
	}
	if err := d.addWholeBOM(); err != nil {
		return err
	}
	if err := d.addProvenance(); err != nil {
		return err
	}
	if err := d.addNotes(); err != nil {
		return err
	}
	if err := d.writeMetadata(); err != nil {
		return err
	}
	d.say("looking for secrets")
	sc, err := d.scanner()
	if err != nil {
		return err
	}
	if err := errors.Join(sc.folder(d.folder), sc.err()); err != nil {
		return err
	}
	_, err = verify(d.folder, nil)
	return err
}

// add writes a file of the release.
func (d *dist) add(a artifact, write func(w io.Writer) error) error {
	if !nameForm.MatchString(a.Name) {
		return fmt.Errorf("%s cannot be the name of a file of a release.", printable(a.Name))
	}
	for _, other := range d.artifacts {
		if strings.EqualFold(other.Name, a.Name) {
			return fmt.Errorf("Two files of the release would have the name %s.", a.Name)
		}
	}
	digest, size, err := writeFile(filepath.Join(d.folder, a.Name), d.time, write)
	a.SHA256, a.Size = digest, size
	d.artifacts = append(d.artifacts, a)
	return err
}

func (d *dist) addBytes(a artifact, content []byte) error {
	return d.add(a, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// writeFile makes a new file that everybody can read, whatever the umask, and gives its digest and size.
func writeFile(name string, when time.Time, write func(w io.Writer) error) (string, int64, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	err = write(io.MultiWriter(f, h))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	size, seekErr := f.Seek(0, io.SeekCurrent)
	err = errors.Join(err, seekErr, f.Close())
	if err == nil {
		err = os.Chtimes(name, when, when)
	}
	return hex.EncodeToString(h.Sum(nil)), size, err
}

const kubernetesModule = "k8s.io/kubernetes"

// minor is a minor version of Kubernetes that the repository has.
type minor struct {
	name    string // 1.37
	version string // v1.37.2
}

func (d *dist) findMinors() ([]minor, error) {
	entries, err := d.files("images/kubernetes")
	if err != nil {
		return nil, err
	}
	var minors []minor
	for _, e := range entries {
		name := path.Base(path.Dir(e.name))
		if path.Base(e.name) != "go.mod" || !minorForm.MatchString(name) {
			continue
		}
		if len(d.options.minors) > 0 && !slices.Contains(d.options.minors, name) {
			continue
		}
		version, err := d.required(e.name, kubernetesModule)
		if err != nil {
			return nil, err
		}
		minors = append(minors, minor{name, version})
	}
	for _, wanted := range d.options.minors {
		if !slices.ContainsFunc(minors, func(m minor) bool { return m.name == wanted }) {
			return nil, fmt.Errorf("There is no Kubernetes %s in images/kubernetes.", printable(wanted))
		}
	}
	if len(minors) == 0 {
		return nil, fmt.Errorf("There is no Kubernetes in images/kubernetes.")
	}
	return minors, nil
}

// required is the version of a module that a go.mod of the commit names.
func (d *dist) required(file, module string) (string, error) {
	content, err := d.read(file)
	if err != nil {
		return "", err
	}
	parsed, err := modfile.ParseLax(file, content, nil)
	if err != nil {
		return "", err
	}
	for _, r := range parsed.Require {
		if r.Mod.Path == module {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not say which %s it is.", file, module)
}

var minorForm = regexp.MustCompile(`^1\.[0-9]+$`)

const settingsFile = "release/release.properties"

// readSettings reads what is said once for everybody: KEY=VALUE in each line.
func (d *dist) readSettings() (map[string]string, error) {
	content, err := d.read(settingsFile)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(content)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			settings[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	for _, key := range []string{"REGISTRY", "SOURCE_URL", "LICENCE"} {
		if settings[key] == "" {
			return nil, fmt.Errorf("%s does not say %s.", settingsFile, key)
		}
	}
	return settings, nil
}

func (d *dist) readJava() (*javaLibraries, error) {
	if d.options.bom == "" {
		return nil, fmt.Errorf("The server's bill of materials is missing: `assemble dist` wants -bom.")
	}
	content, err := readRegular(d.path(d.options.bom))
	if err != nil {
		return nil, err
	}
	return readJavaLibraries(content, d.path(d.options.lib))
}

// readManifests reads the generated files by their names below the folder.
func readManifests(folder, version string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		content, err := readRegular(name)
		files[filepath.ToSlash(below)] = content
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("There are no manifests: `make manifests VERSION=%s`.", version)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"vcluster-harikube-sqlite-release-" + version + ".yaml", imagesFile} {
		if files[name] == nil {
			return nil, fmt.Errorf("The manifests have no %s: `make manifests VERSION=%s`.", name, version)
		}
	}
	return files, nil
}

// keepable is what is kept in the repository to upgrade from: manifests and chart. The bases for kustomize are the manifests again.
func keepable(manifests map[string][]byte) map[string][]byte {
	kept := map[string][]byte{}
	for name, content := range manifests {
		if !strings.HasPrefix(name, "kustomize/") {
			kept[name] = content
		}
	}
	return kept
}

// addManifests: a release has no folders, as no page of a release has, so monitoring/alerts.yaml is monitoring-alerts.yaml. What
// names other files by where they are is in an archive of all, with its folders.
func (d *dist) addManifests() error {
	folder := manifestsFolder(d.version)
	err := d.add(artifact{Name: folder + ".tar.gz", Kind: kindManifests}, func(w io.Writer) error {
		return manifestsTree(d.manifests).write(w, folder, d.time)
	})
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(d.manifests) {
		a := artifact{Name: strings.ReplaceAll(name, "/", "-"), Kind: kindManifest}
		switch {
		case name == imagesFile:
			continue // with digests, later
		case strings.HasPrefix(name, "kustomize/"):
			continue
		case strings.HasPrefix(name, "chart/"):
			a.Name, a.Kind = path.Base(name), kindChart
		case strings.HasPrefix(name, "monitoring/"):
			a.Kind = kindMonitoring
		}
		if err := d.addBytes(a, d.manifests[name]); err != nil {
			return err
		}
	}
	return nil
}

func manifestsFolder(version string) string { return "harikube-manifests-" + version }

// manifestsTree is everything but the list of images, which a release has with their digests.
func manifestsTree(manifests map[string][]byte) tree {
	all := tree{}
	for name, content := range manifests {
		if name != imagesFile {
			all[name] = node{content: content}
		}
	}
	return all
}

// archiveCommand makes the archive of the manifests alone, as a release has it.
func archiveCommand(root, version, manifests, out string, stdout io.Writer) error {
	if err := parseVersion(version); err != nil {
		return err
	}
	r, err := openRepository(root)
	if err != nil {
		return err
	}
	generated, err := readManifests(r.path(manifests), version)
	if err != nil {
		return err
	}
	folder := manifestsFolder(version)
	file := filepath.Join(r.path(out), folder+".tar.gz")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.RemoveAll(file)); err != nil {
		return err
	}
	_, _, err = writeFile(file, r.time, func(w io.Writer) error { return manifestsTree(generated).write(w, folder, r.time) })
	if err == nil {
		fmt.Fprintln(stdout, file)
	}
	return err
}

func patchOf(minor string) string { return "kubernetes-v" + minor + ".patch" }

func (d *dist) addPatches() error {
	for _, m := range d.minors {
		content, err := d.read("patches/" + patchOf(m.name))
		if err != nil {
			return err
		}
		if err := d.addBytes(artifact{Name: patchOf(m.name), Kind: kindPatch}, content); err != nil {
			return err
		}
	}
	return nil
}

var architectures = []string{"amd64", "arm64"}

func (d *dist) addImages(java *javaLibraries) error {
	ref := d.settings["REGISTRY"] + "/harikube:" + d.version
	if err := d.addImage("harikube", "harikube-image-"+d.version, ref, java, nil); err != nil {
		return err
	}
	for _, m := range d.minors {
		tag := m.version + "-" + d.version
		patch, err := d.read("patches/" + patchOf(m.name))
		if err != nil {
			return err
		}
		b := newBill(d.version, java)
		b.putTop(cdx.Component{
			BOMRef: "file:" + patchOf(m.name), Type: cdx.ComponentTypeFile, Name: patchOf(m.name), Version: d.version, Hashes: hashes(patch),
			Description: "What kube-apiserver and kube-controller-manager were changed with",
		})
		ref := d.settings["REGISTRY"] + "/kubernetes:" + tag
		if err := d.addImage("kubernetes-"+m.name, "kubernetes-image-"+tag, ref, java, b); err != nil {
			return err
		}
	}
	return nil
}

// addImage adds an image's archives: one for each platform, and one for all, whose images are the same.
func (d *dist) addImage(built, name, ref string, java *javaLibraries, basis *bill) error {
	image := imageDigest{ref: ref}
	single := map[string]string{} // digest by platform
	for _, arch := range append(slices.Clone(architectures), "") {
		file, a := built+".tar", artifact{Name: name + ".tar", Kind: kindImage, OS: "linux", Arch: strings.Join(architectures, ","), Image: ref}
		wanted := []string{"linux/amd64", "linux/arm64"}
		if arch != "" {
			file, a.Name, a.Arch = built+"-linux-"+arch+".tar", name+"-linux-"+arch+".tar", arch
			wanted = []string{"linux/" + arch}
		}
		l, err := openLayout(d.path(filepath.Join(d.options.images, file)))
		if err != nil {
			return fmt.Errorf("%w `make images VERSION=%s` makes it.", err, d.version)
		}
		defer l.Close()
		if err := d.checkImage(l, ref, wanted); err != nil {
			return err
		}
		for _, i := range l.images {
			p := i.config.OS + "/" + i.config.Architecture
			if arch != "" {
				single[p] = i.Digest
			} else if single[p] != i.Digest {
				return fmt.Errorf("%s has another image for %s than the archive for that platform: `make images VERSION=%s`.", file, p, d.version)
			}
		}
		a.Digest = l.top.Digest
		err = d.add(a, func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(l.file, 0, 1<<62))
			return err
		})
		if err != nil {
			return err
		}
		a = d.artifacts[len(d.artifacts)-1]
		if arch != "" {
			image.platforms = append(image.platforms, a)
		} else {
			image.digest = a.Digest
		}
		if err := d.addImageBOM(l, a, java, basis); err != nil {
			return err
		}
	}
	d.images = append(d.images, image)
	return nil
}

const (
	versionLabel  = "org.opencontainers.image.version"
	revisionLabel = "org.opencontainers.image.revision"
)

// checkImage refuses an image that was left by another build.
func (d *dist) checkImage(l *layout, ref string, wanted []string) error {
	var f faults
	if l.ref != ref {
		f.add("%s has the image %s, not %s: `make images VERSION=%s`.", l.name, printable(l.ref), ref, d.version)
	}
	if !slices.Equal(l.platforms(), wanted) {
		f.add("%s is for %s, not for %s.", l.name, printable(strings.Join(l.platforms(), ", ")), strings.Join(wanted, ", "))
	}
	_, tag, _ := strings.Cut(path.Base(ref), ":")
	for _, i := range l.images {
		labels := i.config.Config.Labels
		if v := labels[versionLabel]; v != d.version && v != tag && "v"+v != d.version {
			f.add("%s says that it is version %s: `make images VERSION=%s`.", l.name, printable(v), d.version)
		}
		if r := labels[revisionLabel]; r != d.commit && !d.options.anyRevision {
			f.add("%s was built of commit %.12s, and this is %.12s: `make images VERSION=%s`.", l.name, printable(r), d.commit, d.version)
		}
	}
	if len(f) > 0 {
		return f.err()
	}
	return l.checkBlobs()
}

func (d *dist) timestamp() string { return d.time.Format(time.RFC3339) }

func (d *dist) addImageBOM(l *layout, a artifact, java *javaLibraries, basis *bill) error {
	b := newBill(d.version, java)
	if basis != nil {
		for _, ref := range basis.top {
			b.putTop(basis.components[ref])
		}
	}
	for _, i := range l.images {
		home, err := i.javaHome()
		if err != nil {
			return err
		}
		several := ""
		if len(l.images) > 1 {
			several = i.config.Architecture + "/" // the same file of two architectures is two files
		}
		err = l.walk(i, func(f fileInImage) error {
			if f.content == nil {
				return nil
			}
			name, runtime := several+f.name, home
			if home != "" {
				runtime = several + home
			}
			return b.file(name, f.content, runtime)
		})
		if err != nil {
			return err
		}
	}
	repository, tag, _ := strings.Cut(a.Image, ":")
	return d.addBOM(a, b, cdx.Component{
		BOMRef: "artifact:" + a.Name, Type: cdx.ComponentTypeContainer, Name: repository, Version: tag,
		PackageURL: ociURL(a.Image, a.Digest), Hashes: a.hashes(),
	})
}

func (a artifact) hashes() *[]cdx.Hash {
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: a.SHA256}}
}

// ociURL is the package URL of an image.
func ociURL(ref, digest string) string {
	repository, tag, _ := strings.Cut(ref, ":")
	return "pkg:oci/" + path.Base(repository) + "@" + url.PathEscape(digest) + "?" +
		url.Values{"repository_url": {repository}, "tag": {tag}}.Encode()
}

const bomEnding = ".cdx.json"

func (d *dist) addBOM(of artifact, b *bill, component cdx.Component) error {
	content, err := b.write(component, d.timestamp())
	if err != nil {
		return err
	}
	return d.addBytes(artifact{Name: of.Name + bomEnding, Kind: kindBOM, OS: of.OS, Arch: of.Arch}, content)
}

// addServer makes archives of the server out of its images, so that there is one server in all of them.
func (d *dist) addServer(java *javaLibraries) error {
	launcher, err := d.read("server/src/main/launcher/harikube")
	if err != nil {
		return err
	}
	findJDK, err := d.read("server/src/main/launcher/find-jdk")
	if err != nil {
		return err
	}
	var neutral map[string]node
	for _, arch := range architectures {
		l, err := openLayout(d.path(filepath.Join(d.options.images, "harikube-linux-"+arch+".tar")))
		if err != nil {
			return err
		}
		s, err := l.serverOf(l.images[0])
		if err := errors.Join(err, l.Close()); err != nil {
			return err
		}
		t, err := s.archive(launcher, arch)
		if err != nil {
			return err
		}
		if d.runtimes[arch], _, err = javaVersion(s.runtime["release"].content); err != nil {
			return err
		}
		name := "harikube-server-" + d.version
		if err := d.addServerArchive(artifact{Name: name + "-linux-" + arch + ".tar.gz", Kind: kindServer, OS: "linux", Arch: arch}, t, java); err != nil {
			return err
		}
		if neutral == nil {
			neutral = s.jars
			if t, err = s.plainArchive(launcher, findJDK, java); err == nil {
				err = d.addServerArchive(artifact{Name: name + ".tar.gz", Kind: kindServer}, t, java)
			}
			if err != nil {
				return err
			}
		} else if !sameJars(neutral, s.jars) {
			return fmt.Errorf("The images for %s have servers of different jars.", strings.Join(architectures, " and "))
		}
	}
	return nil
}

func sameJars(a, b map[string]node) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if other, ok := b[name]; !ok || !bytes.Equal(a[name].content, other.content) {
			return false
		}
	}
	return true
}

func (d *dist) addServerArchive(a artifact, t tree, java *javaLibraries) error {
	folder := strings.TrimSuffix(a.Name, ".tar.gz")
	if err := d.add(a, func(w io.Writer) error { return t.write(w, folder, d.time) }); err != nil {
		return err
	}
	b, err := t.bill(d.version, java)
	if err != nil {
		return err
	}
	a = d.artifacts[len(d.artifacts)-1]
	return d.addBOM(a, b, cdx.Component{
		BOMRef: "artifact:" + a.Name, Type: cdx.ComponentTypeApplication, Name: "harikube-server", Version: d.version, Hashes: a.hashes(),
	})
}

// addImagesList writes the names of all images that the manifests name, ours with their digests and of all minor versions.
func (d *dist) addImagesList() error {
	ours := map[string]string{}
	for _, i := range d.images {
		ours[i.ref] = i.digest
	}
	lines := map[string]bool{}
	for ref, digest := range ours {
		lines[ref+"@"+digest] = true
	}
	for line := range strings.Lines(string(d.manifests[imagesFile])) {
		ref := strings.TrimSpace(line)
		if ref == "" || strings.HasPrefix(ref, "#") || ours[ref] != "" {
			continue
		}
		if strings.HasPrefix(ref, d.settings["REGISTRY"]+"/") && !d.ofUnwantedMinor(ref) {
			return fmt.Errorf("The manifests name the image %s, which was not built for this release.", printable(ref))
		}
		lines[ref] = true
	}
	text := strings.Join(sortedKeys(lines), "\n") + "\n"
	return d.addBytes(artifact{Name: imagesFile, Kind: kindImages}, []byte(text))
}

// ofUnwantedMinor: whoever assembles some minor versions only has the names of all in the list.
func (d *dist) ofUnwantedMinor(ref string) bool {
	return len(d.options.minors) > 0 && strings.HasPrefix(ref, d.settings["REGISTRY"]+"/kubernetes:v") &&
		strings.HasSuffix(ref, "-"+d.version)
}

// addOtherBOMs says of the patches what they change, and of the charts whose templates they have and which images they name.
func (d *dist) addOtherBOMs() error {
	version, err := d.required("manifests/vcluster/go.mod", vclusterModule)
	if err != nil {
		return err
	}
	changes := map[string]string{}
	for _, m := range d.minors {
		changes[patchOf(m.name)] = m.version
	}
	for _, a := range slices.Clone(d.artifacts) {
		b := newBill(d.version, nil)
		switch a.Kind {
		case kindPatch:
			b.putTop(goModule(kubernetesModule, changes[a.Name], ""))
		case kindChart, kindManifests:
			b.putTop(goModule(vclusterModule, version, ""))
			for ref := range strings.FieldsSeq(string(d.manifests[imagesFile])) {
				b.putTop(d.imageComponent(ref))
			}
		default:
			continue
		}
		component := cdx.Component{BOMRef: "artifact:" + a.Name, Type: cdx.ComponentTypeFile, Name: a.Name, Version: d.version, Hashes: a.hashes()}
		if err := d.addBOM(a, b, component); err != nil {
			return err
		}
	}
	return nil
}

const vclusterModule = "github.com/loft-sh/vcluster"

// imageComponent is an image that a manifest names, with its digest if it is ours.
func (d *dist) imageComponent(ref string) cdx.Component {
	repository, tag, _ := strings.Cut(ref, ":")
	c := cdx.Component{BOMRef: "image:" + ref, Type: cdx.ComponentTypeContainer, Name: repository, Version: tag}
	for _, i := range d.images {
		if i.ref == ref {
			c.PackageURL = ociURL(ref, i.digest)
		}
	}
	return c
}

// addWholeBOM says of the release as a whole what it consists of, with the bill of each part that has one, and of each manifest the
// images that it names.
func (d *dist) addWholeBOM() error {
	b := newBill(d.version, nil)
	bills := map[string]artifact{}
	for _, a := range d.artifacts {
		if a.Kind == kindBOM {
			bills[strings.TrimSuffix(a.Name, bomEnding)] = a
		}
	}
	for _, a := range d.artifacts {
		if a.Kind == kindBOM {
			continue
		}
		c := cdx.Component{
			BOMRef: "artifact:" + a.Name, Type: cdx.ComponentTypeFile, Name: a.Name, Version: d.version, Hashes: a.hashes(),
		}
		switch a.Kind {
		case kindImage:
			c.Type, c.PackageURL = cdx.ComponentTypeContainer, ociURL(a.Image, a.Digest)
		case kindServer:
			c.Type = cdx.ComponentTypeApplication
		}
		if bill, ok := bills[a.Name]; ok {
			c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeBOM, URL: bill.Name, Hashes: bill.hashes()}}
		}
		b.putTop(c)
		for _, ref := range imagesIn(d.content(a)) {
			b.needs[c.BOMRef][b.put(d.imageComponent(ref))] = struct{}{}
		}
	}
	content, err := b.write(cdx.Component{
		BOMRef: "release", Type: cdx.ComponentTypeApplication, Name: "harikube", Version: d.version,
	}, d.timestamp())
	if err != nil {
		return err
	}
	return d.addBytes(artifact{Name: "harikube-" + d.version + bomEnding, Kind: kindBOM}, content)
}

// content is that of a manifest.
func (d *dist) content(a artifact) []byte {
	if a.Kind != kindManifest {
		return nil
	}
	content, _ := os.ReadFile(filepath.Join(d.folder, a.Name))
	return content
}

var imageLine = regexp.MustCompile(`(?m)^[\s-]*"?image"?:[ \t]*["']?([^\s"'#{},]+)`)

// imagesIn are the images that the containers of a manifest have, sorted.
func imagesIn(manifest []byte) []string {
	found := map[string]bool{}
	for _, m := range imageLine.FindAllSubmatch(manifest, -1) {
		found[string(m[1])] = true
	}
	return sortedKeys(found)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (d *dist) writeMetadata() error {
	m := metadata{Name: "harikube", Version: d.version, Commit: d.commit, Time: d.timestamp(), Artifacts: slices.Clone(d.artifacts)}
	slices.SortFunc(m.Artifacts, func(a, b artifact) int { return strings.Compare(a.Name, b.Name) })
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	digest, _, err := writeFile(filepath.Join(d.folder, metadataFile), d.time, func(w io.Writer) error {
		_, err := w.Write(append(content, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	sums := []sum{{digest, metadataFile}}
	for _, a := range d.artifacts {
		sums = append(sums, sum{a.SHA256, a.Name})
	}
	_, _, err = writeFile(filepath.Join(d.folder, sumsFile), d.time, func(w io.Writer) error {
		_, err := w.Write(formatSums(sums))
		return err
	})
	return err
}

// lock makes sure that only one program works in a folder. It ends with the program, however that ends.
func lock(folder string) (func(), error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("A release cannot be written: %w.", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("Another `make release` or `make sign` is at work in %s.", folder), f.Close())
	}
	return func() { f.Close() }, nil
}

// replaceable refuses to put a release in the place of what is none.
func replaceable(out string) error {
	info, err := os.Lstat(out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is in the way: it is not a folder.", out)
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) == 0 {
		return err
	}
	if _, err := os.Lstat(filepath.Join(out, metadataFile)); err != nil {
		return fmt.Errorf("%s is in the way: it has files in it and is no release.", out)
	}
	return nil
}

// exchange puts a folder in the place of another one in one step, and removes that.
func exchange(folder, out string) error {
	err := unix.Renameat2(unix.AT_FDCWD, folder, unix.AT_FDCWD, out, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.ENOENT):
		err = os.Rename(folder, out)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS): // not with this file system
		if err = os.RemoveAll(out); err == nil {
			err = os.Rename(folder, out)
		}
	case err == nil:
		err = os.RemoveAll(folder)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be put in its place: %w.", out, err)
	}
	parent, err := os.Open(filepath.Dir(out))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// removeWhenInterrupted removes a folder if somebody ends this program, until what it gives is called.
func removeWhenInterrupted(folder string) func() {
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case s := <-signals:
			for range 100 { // while files are still written into it
				if os.RemoveAll(folder) == nil {
					break
				}
			}
			fmt.Fprintln(os.Stderr, "Interrupted: the release is as it was.")
			os.Exit(128 + int(s.(syscall.Signal)))
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

var globSpecial = regexp.MustCompile(`[*?\[\\]`)

func globQuote(name string) string { return globSpecial.ReplaceAllString(name, `\$0`) }
