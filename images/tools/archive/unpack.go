package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Unpack lays an image's files out in a folder, with their modes, and with their owners if that is root who asks.
func Unpack(image v1.Image, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := unpackLayer(layer, root); err != nil {
			return err
		}
	}
	return nil
}

func unpackLayer(layer v1.Layer, root *os.Root) error {
	contents, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer contents.Close()
	files := tar.NewReader(contents)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackFile(header, files, root); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func unpackFile(header *tar.Header, contents io.Reader, root *os.Root) error {
	name := path.Clean(strings.TrimPrefix(header.Name, "/"))
	if strings.HasPrefix(path.Base(name), ".wh.") {
		return errors.New("a layer that takes away what another brought is not expected")
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := header.FileInfo().Mode()
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
	case tar.TypeReg:
		// A file of that name from before may be a program that runs.
		if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, contents)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return root.Symlink(header.Linkname, name)
	default:
		return fmt.Errorf("a file of type %q is not expected", header.Typeflag)
	}
	if os.Geteuid() == 0 {
		if err := root.Lchown(name, header.Uid, header.Gid); err != nil {
			return err
		}
	}
	// Last: a change of the owner takes some modes away.
	if err := root.Chmod(name, mode); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeDir {
		return nil
	}
	return root.Chtimes(name, header.ModTime, header.ModTime)
}
