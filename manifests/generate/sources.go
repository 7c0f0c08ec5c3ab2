package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// settings are what the release says.
type settings struct {
	version    string // vX.Y.Z
	registry   string
	kubernetes string // minor version, 1.NN
}

// sources are all that is read: files of the repository by their paths in it, and vCluster's chart.
type sources struct {
	files    map[string][]byte
	vcluster map[string][]byte // by their paths in the chart
	// vclusterVersion is without a v, as the tags of its images are.
	vclusterVersion string
	// vclusterFolder has its sources.
	vclusterFolder string
}

// folders are where the sources are. The files of Kubernetes' versions have theirs in a line of go.mod.
var folders = []string{"manifests", "release/chart", "images/kubernetes"}

func readSources(root string) (sources, error) {
	s := sources{files: map[string][]byte{}, vcluster: map[string][]byte{}}
	for _, folder := range folders {
		err := readFolder(s.files, os.DirFS(root), folder, func(name string) bool {
			switch path.Ext(name) {
			case ".yaml", ".tpl", ".txt", ".json":
				return !strings.HasPrefix(name, "manifests/golden/") && !strings.HasPrefix(name, "manifests/releases/")
			case ".mod":
				return strings.HasPrefix(name, "images/")
			}
			return false
		})
		if err != nil {
			return s, err
		}
	}
	return s, s.readVCluster(filepath.Join(root, "manifests", "vcluster"))
}

func readFolder(into map[string][]byte, from fs.FS, folder string, wanted func(string) bool) error {
	return fs.WalkDir(from, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !wanted(name) {
			return err
		}
		into[name], err = fs.ReadFile(from, name)
		return err
	})
}

// readVCluster reads the chart of the version that the go.mod in the folder names; Go compares it with the go.sum.
func (s *sources) readVCluster(folder string) error {
	const module = "github.com/loft-sh/vcluster"
	command := exec.Command("go", "mod", "download", "-json", module)
	command.Dir = folder
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	var found struct{ Dir, Version, Error string }
	if failure := json.Unmarshal(out, &found); failure != nil {
		return fmt.Errorf("downloading %s: %w\n%s", module, errors.Join(err, failure), said.String())
	}
	if found.Error != "" || found.Dir == "" {
		return fmt.Errorf("downloading %s: %s", module, found.Error)
	}
	s.vclusterVersion, s.vclusterFolder = strings.TrimPrefix(found.Version, "v"), found.Dir
	if s.vcluster["LICENSE"], err = os.ReadFile(filepath.Join(found.Dir, "LICENSE")); err != nil {
		return err
	}
	return readFolder(s.vcluster, os.DirFS(filepath.Join(found.Dir, "chart")), ".", func(name string) bool {
		return strings.HasPrefix(name, "templates/") || name == "values.yaml" || name == "values.schema.json"
	})
}

// file returns one of the repository.
func (s sources) file(name string) ([]byte, error) {
	data, found := s.files[name]
	if !found {
		return nil, fmt.Errorf("there is no file %s", name)
	}
	return data, nil
}

var kubernetesVersion = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\S+)`)

// kubernetes is the version that is built of a minor version.
func (s sources) kubernetes(minor string) (string, error) {
	name := "images/kubernetes/" + minor + "/go.mod"
	data, err := s.file(name)
	if err != nil {
		return "", fmt.Errorf("Kubernetes %s is not built here: %w", minor, err)
	}
	version := kubernetesVersion.FindSubmatch(data)
	if version == nil {
		return "", fmt.Errorf("%s does not require k8s.io/kubernetes", name)
	}
	return string(version[1]), nil
}
