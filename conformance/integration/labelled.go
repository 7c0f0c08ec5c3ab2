package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An edit replaces a text, which a file has once, by another.
type edit struct{ file, from, to string }

const (
	framework = "test/integration/framework/controlplane_utils.go"
	plugins   = "pkg/kubeapiserver/options/plugins.go"
	informers = "staging/src/k8s.io/client-go/metadata/metadatainformer/informer.go"
	// plugin is beside plugins.
	plugin = "labelled.go"
)

// usualPrefix has API servers keep their objects below /registry, as they do unless they are told otherwise.
var usualPrefix = []edit{{framework, `uuid.New().String(), "registry"`, `uuid.New().String()[:0], "registry"`}}

// labelling makes API servers put the label on what is created, from their first object on, which a policy would come too late for.
// The tests make their garbage collectors themselves, without what kube-controller-manager's main function has of our patch, so
// the informers that they take for it leave out what has the label.
var labelling = []edit{
	{plugins, "\t// new admission plugins should generally be inserted above here\n", "\tlabelledPlugin,\n"},
	{plugins, "\tadmit.Register(plugins)", "\tregisterLabelled(plugins)\n\tadmit.Register(plugins)"},
	{plugins, "defaultOnPlugins := sets.New(\n", "defaultOnPlugins := sets.New(\n\t\tlabelledPlugin,\n"},
	{informers,
		"return NewFilteredSharedInformerFactory(client, defaultResync, metav1.NamespaceAll, nil)",
		`return NewFilteredSharedInformerFactory(client, defaultResync, metav1.NamespaceAll, func(options *metav1.ListOptions) {
		options.LabelSelector = "!skip-controller-manager-metadata-caching"
	})`},
}

// writeOverlay writes what go's option -overlay takes: copies of the files of a tree with the edits, and the plugin.
func writeOverlay(tree, folder string, labelled bool) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	replace := map[string]string{}
	edits := usualPrefix
	if labelled {
		edits = slices.Concat(usualPrefix, labelling)
		added, err := filepath.Abs(filepath.Join("testdata", plugin))
		if err != nil {
			return "", err
		}
		replace[filepath.Join(tree, filepath.Dir(plugins), plugin)] = added
	}
	for _, e := range edits {
		original := filepath.Join(tree, e.file)
		edited := filepath.Join(folder, filepath.Base(e.file))
		source := original
		if _, again := replace[original]; again {
			source = edited
		}
		text, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		if n := bytes.Count(text, []byte(e.from)); n != 1 {
			return "", fmt.Errorf("%s has %q %d times, not once", e.file, e.from, n)
		}
		if err := os.WriteFile(edited, bytes.Replace(text, []byte(e.from), []byte(e.to), 1), 0o644); err != nil {
			return "", err
		}
		replace[original] = edited
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

// labels says how many objects got the label; it is an error if no custom resource did, as it hides little else.
func labels(file string) (counts string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "nothing got the label", err
	}
	all, custom, definitions := 0, 0, 0
	for line := range strings.Lines(string(text)) {
		all++
		if strings.HasSuffix(line, " custom\n") {
			custom++
		}
		if strings.HasPrefix(line, "customresourcedefinitions.apiextensions.k8s.io ") {
			definitions++
		}
	}
	counts = fmt.Sprintf("%d objects got the label: %d custom resources, %d definitions, %d others",
		all, custom, definitions, all-custom-definitions)
	if custom == 0 {
		return counts, errors.New("no custom resource got the label")
	}
	return counts, nil
}
