// Command generate writes the manifests, the chart and what goes with them from the sources in manifests/ and
// release/chart. The same sources and settings give the same bytes.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	var (
		root     = flag.String("root", ".", "folder of the repository")
		out      = flag.String("out", "build/manifests", "folder that is written anew")
		settings settings
	)
	flag.StringVar(&settings.version, "version", "v0.0.0-dev", "version of the images, vX.Y.Z")
	flag.StringVar(&settings.registry, "registry", "quay.io/harikube-jvm", "where the images are")
	flag.StringVar(&settings.kubernetes, "kubernetes", "1.37", "minor version of the virtual cluster")
	flag.Parse()
	if err := run(*root, *out, settings); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func run(root, out string, settings settings) error {
	sources, err := readSources(root)
	if err != nil {
		return err
	}
	files, err := generate(sources, settings)
	if err != nil {
		return err
	}
	// Nothing of another version stays.
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(out, file.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// file is one that is read or written, by its path with slashes.
type file struct {
	name string
	data []byte
}

func byName(files []file) []file {
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return files
}
