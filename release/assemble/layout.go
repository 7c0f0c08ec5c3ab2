package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// layout is an OCI image layout in a tar that is not compressed, which holds one image: for one platform, or an index of such.
type layout struct {
	file   *os.File
	name   string // of the file, for messages
	blobs  map[string]*io.SectionReader
	ref    string     // the full name that it is imported under
	top    descriptor // what a registry will know the image by
	images []platformImage
}

type descriptor struct {
	MediaType   string            `json:"mediaType,omitempty"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

// manifest has the fields of an image's and of an index's.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	Config        *descriptor       `json:"config,omitempty"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// platformImage is an image for one platform.
type platformImage struct {
	descriptor
	config imageConfig
	layers []descriptor
}

type imageConfig struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Config       struct {
		User       string
		Entrypoint []string
		Cmd        []string
		Labels     map[string]string
	} `json:"config"`
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

const (
	refAnnotation  = "org.opencontainers.image.ref.name"
	nameAnnotation = "io.containerd.image.name"
	largestJSON    = 4 << 20
)

// openLayout reads what an archive says of itself. It does not look at the layers: see checkBlobs.
func openLayout(file string) (*layout, error) {
	l, index, err := openBlobs(file)
	if err != nil {
		return nil, err
	}
	if err := l.read(index); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is no archive of an image: %w.", printable(l.name), err), l.Close())
	}
	return l, nil
}

// openBlobs finds the parts of an archive, and reads its index.
func openBlobs(file string) (*layout, manifest, error) {
	f, err := openRegular(file)
	if err != nil {
		return nil, manifest{}, err
	}
	l := &layout{file: f, name: path.Base(file), blobs: map[string]*io.SectionReader{}}
	index, err := l.find()
	if err != nil {
		return nil, index, errors.Join(fmt.Errorf("%s is no archive of an image: %w.", printable(l.name), err), l.Close())
	}
	return l, index, nil
}

func (l *layout) Close() error { return l.file.Close() }

func (l *layout) find() (manifest, error) {
	var index manifest
	t := tar.NewReader(l.file)
	found := false
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return index, err
		}
		switch name := path.Clean(h.Name); {
		case h.Typeflag == tar.TypeDir:
		case h.Typeflag != tar.TypeReg:
			return index, fmt.Errorf("%s in it is not a regular file", printable(name))
		case name == "index.json":
			if err := decode(t, &index); err != nil {
				return index, fmt.Errorf("index.json: %w", err)
			}
			found = true
		case strings.HasPrefix(name, "blobs/sha256/"):
			at, err := l.file.Seek(0, io.SeekCurrent)
			if err != nil {
				return index, err
			}
			digest := "sha256:" + path.Base(name)
			if !digestForm.MatchString(digest) {
				return index, fmt.Errorf("%s in it has no digest for a name", printable(name))
			}
			l.blobs[digest] = io.NewSectionReader(l.file, at, h.Size)
		}
	}
	if !found {
		return index, errors.New("it has no index.json")
	}
	return index, nil
}

func (l *layout) read(index manifest) error {
	if len(index.Manifests) != 1 {
		return fmt.Errorf("its index.json names %d images, not one", len(index.Manifests))
	}
	l.top = index.Manifests[0]
	l.ref = l.top.Annotations[nameAnnotation]
	if l.ref == "" {
		l.ref = l.top.Annotations[refAnnotation]
	}
	var m manifest
	if err := l.json(l.top, &m); err != nil {
		return err
	}
	if m.Manifests == nil {
		return l.add(l.top, m)
	}
	for _, d := range m.Manifests {
		var m manifest
		if err := l.json(d, &m); err != nil {
			return err
		}
		if err := l.add(d, m); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) add(d descriptor, m manifest) error {
	if m.Config == nil {
		return fmt.Errorf("%s has no configuration", d.Digest)
	}
	i := platformImage{descriptor: d, layers: m.Layers}
	if err := l.json(*m.Config, &i.config); err != nil {
		return err
	}
	if p := d.Platform; p != nil && (p.OS != i.config.OS || p.Architecture != i.config.Architecture) {
		return fmt.Errorf("%s is for %s/%s, and its index says %s/%s", d.Digest, i.config.OS, i.config.Architecture, p.OS, p.Architecture)
	}
	l.images = append(l.images, i)
	return nil
}

// json reads a blob whose bytes are what its digest says.
func (l *layout) json(d descriptor, value any) error {
	content, err := l.blob(d)
	if err != nil {
		return err
	}
	return decode(bytes.NewReader(content), value)
}

func (l *layout) blob(d descriptor) ([]byte, error) {
	blob, ok := l.blobs[d.Digest]
	if !ok {
		return nil, fmt.Errorf("it lacks %.80q", d.Digest)
	}
	if blob.Size() > largestJSON {
		return nil, fmt.Errorf("%s has %d bytes", d.Digest, blob.Size())
	}
	content := make([]byte, blob.Size())
	if _, err := blob.ReadAt(content, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if digestOf(content) != d.Digest {
		return nil, fmt.Errorf("%s has another content", d.Digest)
	}
	return content, nil
}

func decode(r io.Reader, value any) error {
	return json.NewDecoder(io.LimitReader(r, largestJSON)).Decode(value)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// checkBlobs reads everything: each blob is what its name says, and all that the image needs is there.
func (l *layout) checkBlobs() error {
	for digest, blob := range l.blobs {
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(blob, 0, blob.Size())); err != nil {
			return err
		}
		if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != digest {
			return fmt.Errorf("%s holds %s, whose content is another.", l.name, digest)
		}
	}
	for _, i := range l.images {
		for _, layer := range i.layers {
			if blob, ok := l.blobs[layer.Digest]; !ok || blob.Size() != layer.Size {
				return fmt.Errorf("%s lacks the layer %s.", l.name, layer.Digest)
			}
		}
	}
	return nil
}

// platforms are those that it has, such as linux/amd64, sorted.
func (l *layout) platforms() []string {
	var all []string
	for _, i := range l.images {
		all = append(all, i.config.OS+"/"+i.config.Architecture)
	}
	slices.Sort(all)
	return all
}

// fileInImage is an entry of a layer: for a regular file with its content.
type fileInImage struct {
	name    string // without a slash in front
	header  *tar.Header
	content []byte
}

// walk gives the files of an image for one platform. Our layers add only, so that the order does not matter.
func (l *layout) walk(i platformImage, each func(f fileInImage) error) error {
	seen := map[string]bool{}
	for _, d := range i.layers {
		blob, ok := l.blobs[d.Digest]
		if !ok {
			return fmt.Errorf("%s lacks the layer %s.", l.name, d.Digest)
		}
		z, err := gzip.NewReader(io.NewSectionReader(blob, 0, blob.Size()))
		if err != nil {
			return fmt.Errorf("The layer %s in %s is not compressed as all are: %w", d.Digest, l.name, err)
		}
		t := tar.NewReader(z)
		for {
			h, err := t.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return fmt.Errorf("%s cannot be read in %s: %w", d.Digest, l.name, err)
			}
			name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
			f := fileInImage{name: name, header: h}
			if strings.HasPrefix(path.Base(name), ".wh.") {
				return fmt.Errorf("%s has a layer that takes files away: %s.", l.name, printable(name))
			}
			if h.Typeflag == tar.TypeReg {
				if seen[name] {
					return fmt.Errorf("%s has %s twice.", l.name, printable(name))
				}
				seen[name] = true
				if h.Size > largestFile {
					return fmt.Errorf("%s has %s, which is too large.", l.name, printable(name))
				}
				if f.content, err = io.ReadAll(t); err != nil {
					return err
				}
			}
			if err := each(f); err != nil {
				return err
			}
		}
	}
	return nil
}
