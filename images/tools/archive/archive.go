// Package archive reads and writes images in OCI layouts that are tar files.
//
// An archive holds one image, or one index with an image for each architecture, and is the same bytes whenever it holds
// the same: its entries are sorted and have no times and owners.
package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Archive is an open archive. Its blobs are read from the file, not held in memory.
type Archive struct {
	file    *os.File
	entries map[string]*io.SectionReader
	root    v1.Descriptor
}

// Open reads the table of contents. The archive has to be closed.
func Open(path string) (*Archive, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &Archive{file: file, entries: map[string]*io.SectionReader{}}
	if err := a.read(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

func (a *Archive) read() error {
	headers := tar.NewReader(a.file)
	for {
		header, err := headers.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		// The reader has just read the header: the contents begin where the file stands.
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.entries[header.Name] = io.NewSectionReader(a.file, offset, header.Size)
	}
	text, err := a.entry("index.json")
	if err != nil {
		return err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil {
		return fmt.Errorf("index.json: %w", err)
	}
	if len(index.Manifests) != 1 {
		return fmt.Errorf("index.json names %d images; one was expected", len(index.Manifests))
	}
	a.root = index.Manifests[0]
	return nil
}

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

// Root describes what the archive holds: an image or an index.
func (a *Archive) Root() v1.Descriptor { return a.root }

// Name is the reference that a runtime gives the image when it imports the archive.
func (a *Archive) Name() string { return a.root.Annotations[imageName] }

// Names are those of all files in the archive.
func (a *Archive) Names() []string {
	var names []string
	for name := range a.entries {
		names = append(names, name)
	}
	return names
}

func (a *Archive) entry(name string) ([]byte, error) {
	section, ok := a.entries[name]
	if !ok {
		return nil, fmt.Errorf("there is no %s in it", name)
	}
	return io.ReadAll(io.NewSectionReader(section, 0, section.Size()))
}

func blobName(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

func (a *Archive) blob(digest v1.Hash) ([]byte, error) { return a.entry(blobName(digest)) }

func (a *Archive) open(digest v1.Hash) (io.ReadCloser, error) {
	section, ok := a.entries[blobName(digest)]
	if !ok {
		return nil, fmt.Errorf("there is no %s in it", blobName(digest))
	}
	return io.NopCloser(io.NewSectionReader(section, 0, section.Size())), nil
}

// Images are those of the archive, one for each architecture.
func (a *Archive) Images() ([]v1.Image, error) {
	if !a.root.MediaType.IsIndex() {
		image, err := a.image(a.root)
		return []v1.Image{image}, err
	}
	manifest, err := a.Index().IndexManifest()
	if err != nil {
		return nil, err
	}
	var images []v1.Image
	for _, descriptor := range manifest.Manifests {
		image, err := a.image(descriptor)
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

// Image is the one for an architecture.
func (a *Archive) Image(architecture string) (v1.Image, error) {
	images, err := a.Images()
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		if config.Architecture == architecture {
			return image, nil
		}
	}
	return nil, fmt.Errorf("%s has no image for %s", a.file.Name(), architecture)
}

// Index is what the archive holds if Root is an index.
func (a *Archive) Index() v1.ImageIndex { return indexInArchive{a, a.root} }

func (a *Archive) image(descriptor v1.Descriptor) (v1.Image, error) {
	return partial.CompressedToImage(imageInArchive{a, descriptor})
}

type imageInArchive struct {
	archive    *Archive
	descriptor v1.Descriptor
}

func (i imageInArchive) MediaType() (types.MediaType, error) { return i.descriptor.MediaType, nil }

func (i imageInArchive) RawManifest() ([]byte, error) { return i.archive.blob(i.descriptor.Digest) }

func (i imageInArchive) RawConfigFile() ([]byte, error) {
	manifest, err := partial.Manifest(i)
	if err != nil {
		return nil, err
	}
	return i.archive.blob(manifest.Config.Digest)
}

func (i imageInArchive) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	manifest, err := partial.Manifest(i)
	if err != nil {
		return nil, err
	}
	for _, descriptor := range append(manifest.Layers, manifest.Config) {
		if descriptor.Digest == digest {
			return layerInArchive{i.archive, descriptor}, nil
		}
	}
	return nil, fmt.Errorf("the image has no layer %s", digest)
}

type layerInArchive struct {
	archive    *Archive
	descriptor v1.Descriptor
}

func (l layerInArchive) Digest() (v1.Hash, error) { return l.descriptor.Digest, nil }

func (l layerInArchive) Size() (int64, error) { return l.descriptor.Size, nil }

func (l layerInArchive) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }

func (l layerInArchive) Compressed() (io.ReadCloser, error) {
	return l.archive.open(l.descriptor.Digest)
}

type indexInArchive struct {
	archive    *Archive
	descriptor v1.Descriptor
}

func (i indexInArchive) MediaType() (types.MediaType, error) { return i.descriptor.MediaType, nil }

func (i indexInArchive) Digest() (v1.Hash, error) { return i.descriptor.Digest, nil }

func (i indexInArchive) Size() (int64, error) { return i.descriptor.Size, nil }

func (i indexInArchive) RawManifest() ([]byte, error) { return i.archive.blob(i.descriptor.Digest) }

func (i indexInArchive) IndexManifest() (*v1.IndexManifest, error) {
	raw, err := i.RawManifest()
	if err != nil {
		return nil, err
	}
	return v1.ParseIndexManifest(bytes.NewReader(raw))
}

func (i indexInArchive) Image(digest v1.Hash) (v1.Image, error) {
	manifest, err := i.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, descriptor := range manifest.Manifests {
		if descriptor.Digest == digest {
			return i.archive.image(descriptor)
		}
	}
	return nil, fmt.Errorf("the index has no image %s", digest)
}

func (i indexInArchive) ImageIndex(digest v1.Hash) (v1.ImageIndex, error) {
	return nil, fmt.Errorf("the index has no index %s", digest)
}
