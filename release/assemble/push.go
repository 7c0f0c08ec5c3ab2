package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// login is that of docker or podman.
var login = remote.WithAuthFromKeychain(authn.DefaultKeychain)

// in is the name that an image has in a registry, or its own name if there is none: the last part stays.
func in(registry, image string) string {
	if registry == "" {
		return image
	}
	return strings.TrimSuffix(registry, "/") + "/" + path.Base(image)
}

// digestIn asks a registry what it has under a name; nothing is no error.
func digestIn(ref name.Reference) (string, error) {
	d, err := remote.Head(ref, login)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("The registry cannot be asked for %s: %w.", ref, err)
	}
	return d.Digest.String(), nil
}

// pushCommand brings the images of a release into a registry as they are, so that the digests that were released and signed hold
// there. Nothing is pushed where one of their names is another image's: what is out stays.
func pushCommand(dist, registry, pubkey string, stdout io.Writer) error {
	r, err := verifyBy(dist, pubkey)
	if err != nil {
		return err
	}
	var f faults
	tags := map[string]name.Tag{} // by the name of the archive
	for _, a := range r.Artifacts {
		if !a.forAll() {
			continue
		}
		tag, err := name.NewTag(in(registry, a.Image))
		if err != nil {
			f.add("%s is no name in a registry: %w.", printable(in(registry, a.Image)), err)
			continue
		}
		switch digest, err := digestIn(tag); {
		case err != nil:
			f = append(f, err)
		case digest != "" && digest != a.Digest:
			f.add("%s is another image in the registry: %s, and not %s.", tag, digest, a.Digest)
		}
		tags[a.Name] = tag
	}
	if len(f) > 0 {
		return f.err()
	}
	for _, a := range r.Artifacts {
		if tag, ok := tags[a.Name]; ok {
			if err := pushImage(filepath.Join(dist, a.Name), tag); err != nil {
				return fmt.Errorf("%s cannot be pushed: %w.", tag, err)
			}
			fmt.Fprintf(stdout, "%s@%s\n", tag, a.Digest)
		}
	}
	return nil
}

func pushImage(file string, tag name.Tag) error {
	l, err := openLayout(file)
	if err != nil {
		return err
	}
	defer l.Close()
	return remote.WriteIndex(tag, archivedIndex{l}, login)
}

// pushSignaturesCommand puts the signature of each image beside the image, where cosign looks for it.
func pushSignaturesCommand(dist, registry, pubkey string, stdout io.Writer) error {
	r, err := verifyBy(dist, pubkey)
	if err != nil {
		return err
	}
	if !r.signed {
		return fmt.Errorf("Nobody has signed it: `make sign KEY=file` first.")
	}
	l, index, err := openBlobs(filepath.Join(dist, signaturesFile))
	if err != nil {
		return err
	}
	defer l.Close()
	for _, d := range index.Manifests {
		repository, tag, _ := strings.Cut(d.Annotations[refAnnotation], ":")
		repository = in(registry, repository)
		target, err := name.NewRepository(repository)
		if err != nil {
			return fmt.Errorf("%s is no name in a registry: %w.", printable(repository), err)
		}
		image := target.Digest(strings.TrimSuffix(strings.Replace(tag, "-", ":", 1), ".sig"))
		there, err := digestIn(image)
		if err != nil {
			return err
		}
		if there == "" {
			return fmt.Errorf("The registry does not have %s yet: `make push-release` first.", image)
		}
		signature, err := partial.CompressedToImage(&archivedImage{l, d})
		if err == nil {
			err = remote.Write(target.Tag(tag), signature, login)
		}
		if err != nil {
			return fmt.Errorf("The signature of %s cannot be pushed: %w.", image, err)
		}
		fmt.Fprintf(stdout, "%s has its signature.\n", image)
	}
	return nil
}

// archivedIndex is the image for all platforms in an archive, byte for byte.
type archivedIndex struct{ *layout }

func (i archivedIndex) MediaType() (types.MediaType, error) {
	return types.MediaType(i.top.MediaType), nil
}
func (i archivedIndex) Digest() (v1.Hash, error)     { return v1.NewHash(i.top.Digest) }
func (i archivedIndex) Size() (int64, error)         { return i.top.Size, nil }
func (i archivedIndex) RawManifest() ([]byte, error) { return i.blob(i.top) }

func (i archivedIndex) IndexManifest() (*v1.IndexManifest, error) {
	var m v1.IndexManifest
	return &m, i.json(i.top, &m)
}

func (i archivedIndex) Image(digest v1.Hash) (v1.Image, error) {
	for _, image := range i.images {
		if image.Digest == digest.String() {
			return partial.CompressedToImage(&archivedImage{i.layout, image.descriptor})
		}
	}
	return nil, fmt.Errorf("%s lacks %s", i.name, digest)
}

func (i archivedIndex) ImageIndex(digest v1.Hash) (v1.ImageIndex, error) {
	return nil, fmt.Errorf("%s has no index %s", i.name, digest)
}

// archivedImage is an image in an archive, byte for byte.
type archivedImage struct {
	*layout
	descriptor descriptor
}

func (i *archivedImage) MediaType() (types.MediaType, error) {
	return types.MediaType(i.descriptor.MediaType), nil
}

func (i *archivedImage) RawManifest() ([]byte, error) { return i.blob(i.descriptor) }

func (i *archivedImage) RawConfigFile() ([]byte, error) {
	m, err := i.manifest()
	if err != nil {
		return nil, err
	}
	return i.blob(*m.Config)
}

func (i *archivedImage) manifest() (m manifest, err error) {
	if err = i.json(i.descriptor, &m); err == nil && m.Config == nil {
		err = fmt.Errorf("%s has no configuration", i.descriptor.Digest)
	}
	return m, err
}

func (i *archivedImage) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	m, err := i.manifest()
	if err != nil {
		return nil, err
	}
	blob, ok := i.blobs[digest.String()]
	for _, d := range append(m.Layers, *m.Config) {
		if ok && d.Digest == digest.String() {
			return &archivedLayer{digest, types.MediaType(d.MediaType), io.NewSectionReader(blob, 0, blob.Size())}, nil
		}
	}
	return nil, fmt.Errorf("%s lacks %s", i.name, digest)
}

type archivedLayer struct {
	digest    v1.Hash
	mediaType types.MediaType
	blob      *io.SectionReader
}

func (l *archivedLayer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *archivedLayer) Size() (int64, error)                { return l.blob.Size(), nil }
func (l *archivedLayer) MediaType() (types.MediaType, error) { return l.mediaType, nil }
func (l *archivedLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(l.blob, 0, l.blob.Size())), nil
}
