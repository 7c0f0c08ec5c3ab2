package main

import (
	"fmt"
	"slices"
	"strings"
)

// addNotes writes the release notes: what a user does with the release first, what has changed last.
func (d *dist) addNotes() error {
	base := ""
	if d.previous != "" {
		var err error
		if base, err = d.commitOf(d.previous); err != nil {
			return err
		}
	}
	commits, err := d.since(base)
	if err != nil {
		return err
	}
	return d.addBytes(artifact{Name: notesFile, Kind: kindNotes}, []byte(d.notes(commits)))
}

func (d *dist) notes(commits []commit) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	manifest := func(rest string) string { return "vcluster-harikube-" + rest + "-release-" + d.version + ".yaml" }
	say("# HariKube %s\n", d.version)
	say("Of commit `%s`. Kubernetes %s.\n", d.commit, d.kubernetesVersions())

	say("## Install\n")
	say("Pick one file. `sqlite` keeps the data in a volume; `postgres` in a PostgreSQL of yours, which a Secret names. With `api` there is")
	say("an API only, without pods.\n")
	for _, name := range []string{manifest("sqlite"), manifest("sqlite-api"), manifest("postgres"), manifest("postgres-api")} {
		if d.has(name) {
			say("- `%s`", name)
		}
	}
	say("\nThey are in `%s.tar.gz`, too, with everything that the documents name, in its folders.", manifestsFolder(d.version))
	say("\n```")
	say("kubectl apply -f %s", manifest("sqlite"))
	say("kubectl -n harikube wait --for=jsonpath='{.status.readyReplicas}'=1 --timeout=10m statefulset/harikube")
	say("vcluster connect harikube -n harikube")
	say("```\n")
	if postgres := "postgres-release-" + d.version + ".yaml"; d.has(postgres) {
		say("`%s` is a single PostgreSQL to try the second one with.\n", postgres)
	}
	say("Where there is no registry, the archives of the images load as they are, with `ctr images import` or `docker load`; `crane push` takes")
	say("the folder that one unpacks to into a registry of yours.")
	say("`%s` lists every image that the manifests name; those that are not ours come from their own registries.\n", imagesFile)

	say("## Upgrade\n")
	switch d.previous {
	case "":
		say("This is the first release.\n")
	default:
		say("From %s: take a backup (`etcdctl snapshot save`), then apply the manifest of the same name.", d.previous)
		say("The API is away for the time of a restart, and the data stay. A server that finds another store than its own says so and ends.\n")
	}

	say("## Breaking changes\n")
	breaking := false
	for _, c := range commits {
		for _, sentence := range c.breaking {
			breaking = true
			say("- %s (`%.10s`)", markdown(sentence), c.id)
		}
	}
	if !breaking {
		say("None.")
	}

	say("\n## Verify\n")
	say("In the folder with what was downloaded:\n")
	say("```")
	say("sha256sum --check --ignore-missing %s", sumsFile)
	say("openssl dgst -sha256 -verify harikube.pub -signature %s %s", signatureFile, sumsFile)
	say("```\n")
	say("With an Ed25519 key the second command is")
	say("`openssl pkeyutl -verify -pubin -inkey harikube.pub -rawin -in %s -sigfile %s`.\n", sumsFile, signatureFile)
	say("`make verify DIST=folder PUBKEY=harikube.pub` in the repository judges the whole folder. An image in a registry:\n")
	say("```")
	for _, i := range d.images {
		repository, _, _ := strings.Cut(i.ref, ":")
		say("cosign verify --key harikube.pub --insecure-ignore-tlog %s@%s", repository, i.digest)
	}
	say("```\n")

	say("## Images\n")
	say("| image | platform | digest |\n|---|---|---|")
	for _, i := range d.images {
		say("| `%s` | all | `%s` |", i.ref, i.digest)
		for _, p := range i.platforms {
			say("| | %s/%s | `%s` |", p.OS, p.Arch, p.Digest)
		}
	}

	say("\n## Files\n")
	say("| file | size | SHA-256 |\n|---|--:|---|")
	files := slices.Clone(d.artifacts)
	slices.SortFunc(files, func(x, y artifact) int { return strings.Compare(x.Name, y.Name) })
	for _, a := range files {
		if a.Kind != kindBOM {
			say("| `%s` | %s | `%s` |", a.Name, size(a.Size), a.SHA256)
		}
	}
	say("\nEach archive, chart and patch has a bill of materials beside it, `NAME%s`, and the whole has `harikube-%s%s`.", bomEnding, d.version, bomEnding)

	say("\n## Changes\n")
	switch {
	case d.previous == "":
		say("%d commits led to this first release.", len(commits))
	case len(commits) == 0:
		say("None since %s.", d.previous)
	default:
		say("Since %s:\n", d.previous)
		for _, c := range commits {
			say("- %s (`%.10s`)", markdown(c.subject), c.id)
		}
	}
	return b.String()
}

func (d *dist) has(name string) bool {
	return slices.ContainsFunc(d.artifacts, func(a artifact) bool { return a.Name == name })
}

func (d *dist) kubernetesVersions() string {
	var all []string
	for _, m := range d.minors {
		all = append(all, m.version)
	}
	return strings.Join(all, ", ")
}

// markdown is text that shows as it is: what somebody writes into a commit is no link, picture or table of a page.
func markdown(text string) string {
	var b strings.Builder
	for _, c := range strings.ToValidUTF8(text, "�") {
		switch {
		case strings.ContainsRune("\\`*_{}[]<>#|!~&@$", c):
			b.WriteRune('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			b.WriteRune(' ')
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func size(bytes int64) string {
	switch {
	case bytes >= 10<<20:
		return fmt.Sprintf("%d MB", bytes>>20)
	case bytes >= 10<<10:
		return fmt.Sprintf("%d KB", bytes>>10)
	}
	return fmt.Sprintf("%d B", bytes)
}
