package main

import (
	"encoding/json"
	"runtime"
	"strings"
)

// addProvenance says in an in-toto statement what the files of the release were made of: the commit, by which command. It says
// no times and no machine, so that whoever makes the release again gets the same. Whoever needs it signed has it in SHA256SUMS.
func (d *dist) addProvenance() error {
	type digests map[string]string
	type subject struct {
		Name   string  `json:"name"`
		Digest digests `json:"digest"`
	}
	type resource struct {
		URI    string  `json:"uri"`
		Digest digests `json:"digest"`
	}
	var subjects []subject
	for _, a := range d.artifacts {
		subjects = append(subjects, subject{a.Name, digests{"sha256": a.SHA256}})
	}
	for _, i := range d.images {
		subjects = append(subjects, subject{i.ref, digests{"sha256": strings.TrimPrefix(i.digest, "sha256:")}})
	}
	var minors []string
	for _, m := range d.minors {
		minors = append(minors, m.version)
	}
	source := d.settings["SOURCE_URL"]
	statement := map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       subjects,
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": map[string]any{
			"buildDefinition": map[string]any{
				"buildType": source + "/make-release/v1",
				"externalParameters": map[string]any{
					"command": "make release VERSION=" + d.version,
					"version": d.version,
				},
				"internalParameters": map[string]any{
					"kubernetes": minors,
					"registry":   d.settings["REGISTRY"],
					"go":         runtime.Version(),
					"java":       d.runtimes,
				},
				"resolvedDependencies": []resource{{"git+" + source + "@" + d.version, digests{"gitCommit": d.commit}}},
			},
			"runDetails": map[string]any{
				"builder": map[string]any{"id": source + "/make-release"},
			},
		},
	}
	content, err := json.MarshalIndent(statement, "", "  ")
	if err != nil {
		return err
	}
	return d.addBytes(artifact{Name: provenanceFile(d.version), Kind: kindProvenance}, append(content, '\n'))
}

func provenanceFile(version string) string { return "harikube-" + version + ".intoto.json" }
