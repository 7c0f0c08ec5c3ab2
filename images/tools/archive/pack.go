package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Pack makes an archive of the files of a folder, which all become root's. Its one layer is not compressed: such an image
// stays on this machine.
func Pack(reference, architecture string, config v1.Config, folder, to string) (err error) {
	layer, err := os.CreateTemp(filepath.Dir(to), ".layer-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.Close(), os.Remove(layer.Name())) }()
	if err := writeLayer(layer, folder); err != nil {
		return err
	}
	size, err := layer.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	digest, _, err := v1.SHA256(io.NewSectionReader(layer, 0, size))
	if err != nil {
		return err
	}

	contents := contents{}
	contents[blobName(digest)] = func() (io.Reader, int64) { return io.NewSectionReader(layer, 0, size), size }
	manifest := &v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Layers: []v1.Descriptor{{MediaType: types.OCIUncompressedLayer, Digest: digest, Size: size}}}
	platform := v1.Platform{OS: "linux", Architecture: architecture}
	manifest.Config, err = contents.addJSON(v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture, Config: config,
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{digest}}}, types.OCIConfigJSON)
	if err != nil {
		return err
	}
	root, err := contents.addJSON(manifest, types.OCIManifestSchema1)
	if err != nil {
		return err
	}
	root.Platform = &platform
	if err := contents.addDocker(reference, manifest); err != nil {
		return err
	}
	return contents.write(reference, root, to)
}

// writeLayer writes what is in a folder, sorted and without times, so that the same files are the same bytes.
func writeLayer(to io.Writer, folder string) error {
	out := tar.NewWriter(to)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		return addFile(out, folder, path, entry)
	})
	return errors.Join(err, out.Close())
}

func addFile(out *tar.Writer, folder, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	name, err := filepath.Rel(folder, path)
	if err != nil {
		return err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file, a folder nor a link", path)
	}
	from, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: from.Typeflag, Name: filepath.ToSlash(name), Linkname: link, Mode: from.Mode, Size: from.Size}
	if info.IsDir() {
		header.Name += "/"
	}
	if err := out.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return err
}
