package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// keepCommand copies the manifests of a version that is to be into the repository. Of a version that has been, nothing changes.
func keepCommand(root, version, manifests string, stdout io.Writer) error {
	if err := parseVersion(version); err != nil {
		return err
	}
	r, err := openRepository(root)
	if err != nil {
		return err
	}
	s := &source{repository: r, version: version}
	if err := s.checkVersion(); err != nil {
		return err
	}
	if s.tagged(version) != "" {
		return fmt.Errorf("%s has a tag: its manifests stay as they are.", version)
	}
	generated, err := readManifests(r.path(manifests), version)
	if err != nil {
		return err
	}
	above := r.path(keptFolder)
	if err := os.MkdirAll(above, 0o755); err != nil {
		return err
	}
	unlock, err := lock(above)
	if err != nil {
		return err
	}
	defer unlock()
	leftovers, _ := filepath.Glob(filepath.Join(globQuote(above), ".new-*"))
	for _, l := range leftovers {
		if err := os.RemoveAll(l); err != nil {
			return err
		}
	}
	folder, err := os.MkdirTemp(above, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	defer removeWhenInterrupted(folder)()
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	kept := keepable(generated)
	for _, name := range sortedKeys(kept) {
		file := filepath.Join(folder, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil {
			_, _, err = writeFile(file, r.time, func(w io.Writer) error { return second(w.Write(kept[name])) })
		}
		if err != nil {
			return errors.Join(fmt.Errorf("The manifests cannot be kept."), err)
		}
	}
	if err := exchange(folder, filepath.Join(above, version)); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s/%s has %d files; commit it.\n", keptFolder, version, len(kept))
	return nil
}
