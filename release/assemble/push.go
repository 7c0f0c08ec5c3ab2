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

// pushSignaturesCommand puts the signature of each image beside the image, where cosign looks for it. The login is that of docker
// or podman. With a registry the images are there under the last part of their name.
func pushSignaturesCommand(dist, registry, pubkey string, stdout io.Writer) error {
	key, err := readPublicKeyIf(pubkey)
	if err != nil {
		return err
	}
	r, err := verify(dist, key)
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
	options := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	for _, d := range index.Manifests {
		repository, tag, _ := strings.Cut(d.Annotations[refAnnotation], ":")
		if registry != "" {
			repository = strings.TrimSuffix(registry, "/") + "/" + path.Base(repository)
		}
		target, err := name.NewRepository(repository)
		if err != nil {
			return fmt.Errorf("%s is no name in a registry: %w.", printable(repository), err)
		}
		image := target.Digest(strings.TrimSuffix(strings.Replace(tag, "-", ":", 1), ".sig"))
		if _, err := remote.Head(image, options); err != nil {
			var answer *transport.Error
			if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
				return fmt.Errorf("The registry does not have %s yet: `make push` first.", image)
			}
			return fmt.Errorf("The registry cannot be asked for %s: %w.", image, err)
		}
		signature, err := partial.CompressedToImage(&signatureImage{l, d})
		if err == nil {
			err = remote.Write(target.Tag(tag), signature, options)
		}
		if err != nil {
			return fmt.Errorf("The signature of %s cannot be pushed: %w.", image, err)
		}
		fmt.Fprintf(stdout, "%s has its signature.\n", image)
	}
	return nil
}

// signatureImage is an image in the archive of signatures, byte for byte.
type signatureImage struct {
	*layout
	descriptor descriptor
}

func (i *signatureImage) MediaType() (types.MediaType, error) { return manifestType, nil }

func (i *signatureImage) RawManifest() ([]byte, error) { return i.blob(i.descriptor) }

func (i *signatureImage) RawConfigFile() ([]byte, error) {
	var m manifest
	if err := i.json(i.descriptor, &m); err != nil {
		return nil, err
	}
	return i.blob(*m.Config)
}

func (i *signatureImage) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	blob, ok := i.blobs[digest.String()]
	if !ok {
		return nil, fmt.Errorf("%s lacks %s.", signaturesFile, digest)
	}
	return &signatureLayer{digest, io.NewSectionReader(blob, 0, blob.Size())}, nil
}

type signatureLayer struct {
	digest v1.Hash
	blob   *io.SectionReader
}

func (s *signatureLayer) Digest() (v1.Hash, error)            { return s.digest, nil }
func (s *signatureLayer) Size() (int64, error)                { return s.blob.Size(), nil }
func (s *signatureLayer) MediaType() (types.MediaType, error) { return simpleSigningType, nil }
func (s *signatureLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.blob, 0, s.blob.Size())), nil
}
