package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// chartVersion is what a release may be called; Helm wants it without the v.
var chartVersion = regexp.MustCompile(`^v([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)$`)

// chartFiles are the files of the Helm chart.
func chartFiles(s sources, settings settings) ([]file, error) {
	version := chartVersion.FindStringSubmatch(settings.version)
	if version == nil {
		return nil, fmt.Errorf("%q is not a version such as v1.2.3", settings.version)
	}
	kubernetes, err := s.kubernetes(settings.kubernetes)
	if err != nil {
		return nil, err
	}
	stamp := strings.NewReplacer("@KUBERNETES@", kubernetes, "@REGISTRY@", settings.registry, "@VCLUSTER@", s.vclusterVersion)

	var files []file
	for name, data := range s.files {
		switch folder, base := path.Split(name); {
		case name == "release/chart/Chart.yaml":
			data = fmt.Appendf(data, "version: %s\nappVersion: %s\n", version[1], settings.version)
			files = append(files, file{base, data})
		case name == "release/chart/values.yaml":
			files = append(files, file{base, []byte(stamp.Replace(string(data)))})
		case name == "release/chart/values.schema.json":
			if data, err = withSchema(data, s.vcluster["values.schema.json"]); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			files = append(files, file{base, data})
		case name == "release/chart/NOTES.txt", folder == "manifests/templates/":
			files = append(files, file{"templates/" + base, data})
		case name == "manifests/vcluster.yaml":
			files = append(files, file{base, data})
		case folder == "manifests/monitoring/":
			files = append(files, file{"monitoring/" + base, data})
		}
	}
	// Helm knows the named templates that are in its own folder; the others are rendered by ours.
	for name, data := range s.vcluster {
		if strings.HasPrefix(name, "templates/_") {
			files = append(files, file{"templates/vcluster/" + path.Base(name), data})
		} else if name != "values.schema.json" {
			files = append(files, file{"vcluster/" + name, data})
		}
	}
	files = append(files, file{"vcluster/version", []byte(s.vclusterVersion + "\n")})
	return byName(files), nil
}

// withSchema has the schema of vCluster's values for what the user passes on to it.
func withSchema(ours, theirs []byte) ([]byte, error) {
	var schema, inner map[string]any
	if err := json.Unmarshal(ours, &schema); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(theirs, &inner); err != nil {
		return nil, fmt.Errorf("of vCluster: %w", err)
	}
	definitions := schema["$defs"].(map[string]any)
	for name, definition := range inner["$defs"].(map[string]any) {
		if _, taken := definitions[name]; taken {
			return nil, fmt.Errorf("vCluster has a definition %s, too", name)
		}
		definitions[name] = definition
	}
	inner = maps.Clone(inner)
	maps.DeleteFunc(inner, func(name string, _ any) bool { return strings.HasPrefix(name, "$") })
	schema["properties"].(map[string]any)["vcluster"] = inner
	return json.MarshalIndent(schema, "", "  ")
}

func loadChart(files []file) (*chart.Chart, error) {
	var buffered []*archive.BufferedFile
	for _, file := range files {
		buffered = append(buffered, &archive.BufferedFile{Name: file.name, Data: file.data})
	}
	return loader.LoadFiles(buffered)
}

// packageChart is what `helm package` writes, the same at any time.
func packageChart(files []file) ([]byte, error) {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	for _, file := range files {
		err := archive.WriteHeader(&tar.Header{
			Name: "harikube/" + file.name, Mode: 0o644, Size: int64(len(file.data)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
		})
		if err != nil {
			return nil, err
		}
		if _, err := archive.Write(file.data); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
