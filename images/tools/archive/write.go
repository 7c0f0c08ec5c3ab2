package archive

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Where runtimes look for the name under which an archive is imported: containerd and Docker, and everybody else.
const (
	imageName = "io.containerd.image.name"
	refName   = "org.opencontainers.image.ref.name"
)

// jibsOwn is how Jib calls the layer of argument files that it adds to each image, of use only with its own entry point.
const jibsOwn = "jvm arg files"

// Finish makes an archive of ours of one that Jib has written. It can also be loaded as a `docker save` is, by what does
// not know OCI layouts.
func Finish(reference, from, to string) error {
	source, err := Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	images, err := source.Images()
	if err != nil {
		return err
	}
	manifest, err := images[0].Manifest()
	if err != nil {
		return err
	}
	config, err := images[0].ConfigFile()
	if err != nil {
		return err
	}
	manifest, config = manifest.DeepCopy(), config.DeepCopy()
	if err := withoutJibsOwn(manifest, config); err != nil {
		return err
	}

	contents := contents{}
	manifest.Config, err = contents.addJSON(config, types.OCIConfigJSON)
	if err != nil {
		return err
	}
	for _, layer := range manifest.Layers {
		if err := contents.addFrom(source, layer.Digest); err != nil {
			return err
		}
	}
	root, err := contents.addJSON(manifest, types.OCIManifestSchema1)
	if err != nil {
		return err
	}
	root.Platform = config.Platform()
	if err := contents.addDocker(reference, manifest); err != nil {
		return err
	}
	return contents.write(reference, root, to)
}

func withoutJibsOwn(manifest *v1.Manifest, config *v1.ConfigFile) error {
	if len(config.History) != len(manifest.Layers) || len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return fmt.Errorf("the image has %d layers, but tells the history of %d", len(manifest.Layers), len(config.History))
	}
	for i := len(manifest.Layers) - 1; i >= 0; i-- {
		if config.History[i].Comment == jibsOwn {
			manifest.Layers = slices.Delete(manifest.Layers, i, i+1)
			config.History = slices.Delete(config.History, i, i+1)
			config.RootFS.DiffIDs = slices.Delete(config.RootFS.DiffIDs, i, i+1)
		}
	}
	return nil
}

// Join makes one archive of those of several architectures.
func Join(reference, to string, from ...string) error {
	contents := contents{}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, path := range from {
		source, err := Open(path)
		if err != nil {
			return err
		}
		defer source.Close()
		images, err := source.Images()
		if err != nil {
			return err
		}
		manifest, err := images[0].Manifest()
		if err != nil {
			return err
		}
		config, err := images[0].ConfigFile()
		if err != nil {
			return err
		}
		for _, blob := range append(manifest.Layers, manifest.Config, source.root) {
			if err := contents.addFrom(source, blob.Digest); err != nil {
				return err
			}
		}
		index.Manifests = append(index.Manifests, v1.Descriptor{MediaType: source.root.MediaType,
			Digest: source.root.Digest, Size: source.root.Size, Platform: config.Platform()})
		index.Annotations = config.Config.Labels
	}
	root, err := contents.addJSON(index, types.OCIImageIndex)
	if err != nil {
		return err
	}
	return contents.write(reference, root, to)
}

// contents are the files of an archive by their names; each is opened when it is written.
type contents map[string]func() (io.Reader, int64)

func (c contents) addText(name string, text []byte) {
	c[name] = func() (io.Reader, int64) { return bytes.NewReader(text), int64(len(text)) }
}

func (c contents) addJSON(value any, mediaType types.MediaType) (v1.Descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return v1.Descriptor{}, err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(text))
	if err != nil {
		return v1.Descriptor{}, err
	}
	c.addText(blobName(digest), text)
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, nil
}

func (c contents) addFrom(source *Archive, digest v1.Hash) error {
	section, ok := source.entries[blobName(digest)]
	if !ok {
		return fmt.Errorf("%s: there is no %s in it", source.file.Name(), blobName(digest))
	}
	c[blobName(digest)] = func() (io.Reader, int64) {
		return io.NewSectionReader(section, 0, section.Size()), section.Size()
	}
	return nil
}

func (c contents) addDocker(reference string, manifest *v1.Manifest) error {
	type image struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	docker := image{Config: blobName(manifest.Config.Digest), RepoTags: []string{reference}}
	for _, layer := range manifest.Layers {
		docker.Layers = append(docker.Layers, blobName(layer.Digest))
	}
	text, err := json.Marshal([]image{docker})
	c.addText("manifest.json", text)
	return err
}

func (c contents) write(reference string, root v1.Descriptor, path string) (err error) {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	root.Annotations = map[string]string{imageName: runtimeName(tag), refName: tag.TagStr()}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Manifests: []v1.Descriptor{root}})
	if err != nil {
		return err
	}
	c.addText("index.json", index)
	c.addText("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))

	file, err := os.CreateTemp(filepath.Dir(path), ".archive-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	if err := c.writeTo(file); err != nil {
		file.Close()
		return err
	}
	if err := file.Chmod(0o644); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// runtimeName is how runtimes call an image: for Docker's own registry they have another name than the library.
func runtimeName(tag name.Tag) string {
	if tag.RegistryStr() == name.DefaultRegistry {
		return "docker.io/" + tag.RepositoryStr() + ":" + tag.TagStr()
	}
	return tag.Name()
}

func (c contents) writeTo(file io.Writer) error {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	// What says which layout it is first: a reader of a stream then knows.
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	out := tar.NewWriter(file)
	for _, folder := range []string{"blobs/", "blobs/sha256/"} {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o755, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
	}
	for _, name := range names {
		reader, size := c[name]()
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := io.Copy(out, reader); err != nil {
			return err
		}
	}
	return out.Close()
}

func rank(name string) int {
	if strings.HasPrefix(name, "blobs/") {
		return 1
	}
	return 0
}
