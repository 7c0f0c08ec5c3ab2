package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push brings what the archive holds into a registry, byte for byte, and answers its name there with its digest. Who may
// push is what `docker login` has left in ~/.docker/config.json. Insecure also goes by plain http.
func (a *Archive) Push(ctx context.Context, reference string, insecure bool) (string, error) {
	options := []name.Option{}
	if insecure {
		options = append(options, name.Insecure)
	}
	tag, err := name.NewTag(reference, options...)
	if err != nil {
		return "", err
	}
	how := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(http.DefaultTransport)}
	if a.root.MediaType.IsIndex() {
		err = remote.WriteIndex(tag, a.Index(), how...)
	} else {
		var image v1.Image
		if image, err = a.image(a.root); err == nil {
			err = remote.Write(tag, image, how...)
		}
	}
	if err != nil {
		return "", err
	}
	return tag.Name() + "@" + a.root.Digest.String(), nil
}

// Size is what an image weighs for an architecture.
type Size struct {
	Platform   string
	Compressed int64 // what is pulled: all layers
	Files      int64 // the same layers, unpacked
}

// Check reads everything that the archive holds and compares it with its digests.
func (a *Archive) Check() ([]Size, error) {
	for entry, section := range a.entries {
		digest, _, err := v1.SHA256(io.NewSectionReader(section, 0, section.Size()))
		if err != nil {
			return nil, err
		}
		switch entry {
		case "index.json", "oci-layout", "manifest.json":
		case blobName(digest):
		default:
			return nil, fmt.Errorf("%s is not what its name says", entry)
		}
	}
	images, err := a.Images()
	if err != nil {
		return nil, err
	}
	var sizes []Size
	for _, image := range images {
		size, err := check(image)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

func check(image v1.Image) (Size, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return Size{}, err
	}
	size := Size{Platform: config.OS + "/" + config.Architecture}
	layers, err := image.Layers()
	if err != nil {
		return Size{}, err
	}
	for _, layer := range layers {
		compressed, err := layer.Size()
		if err != nil {
			return Size{}, err
		}
		files, err := checkLayer(layer)
		if err != nil {
			return Size{}, err
		}
		size.Compressed += compressed
		size.Files += files
	}
	return size, nil
}

// checkLayer also compares the unpacked layer with the digest that the configuration has of it.
func checkLayer(layer v1.Layer) (int64, error) {
	want, err := layer.DiffID()
	if err != nil {
		return 0, err
	}
	contents, err := layer.Uncompressed()
	if err != nil {
		return 0, err
	}
	defer contents.Close()
	got, size, err := v1.SHA256(contents)
	if err != nil {
		return 0, err
	}
	if got != want {
		return 0, errors.New("a layer unpacks to something else than the configuration says")
	}
	return size, nil
}
