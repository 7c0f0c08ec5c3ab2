package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// javaLibraries are the jars that the server is made of.
type javaLibraries struct {
	known  map[string]cdx.Component // by SHA-256, as Maven knows them
	folder string                   // where they are as Maven has them
}

// readJavaLibraries reads the bill of materials that CycloneDX's plugin for Maven wrote.
func readJavaLibraries(content []byte, folder string) (*javaLibraries, error) {
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(content), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		return nil, fmt.Errorf("Maven's bill of materials of the server cannot be read: %w", err)
	}
	j := &javaLibraries{map[string]cdx.Component{}, folder}
	for _, c := range value(bom.Components) {
		for _, hash := range value(c.Hashes) {
			if hash.Algorithm == cdx.HashAlgoSHA256 {
				j.known[hash.Value] = c
			}
		}
	}
	if len(j.known) == 0 {
		return nil, fmt.Errorf("Maven's bill of materials of the server names no library.")
	}
	return j, nil
}

// find says which library a jar is. An image may have a jar of which something was left out, such as the native code for other
// systems: then all that is in it is in the whole jar, too, which is given.
func (j *javaLibraries) find(name string, jar []byte) (c cdx.Component, whole []byte, err error) {
	unknown := fmt.Errorf("%s is a library that Maven's bill of materials does not know.", printable(name))
	c, ok := j.known[sha256Of(jar)]
	if ok {
		return c, jar, nil
	}
	whole, err = readRegular(filepath.Join(j.folder, path.Base(name)))
	if err != nil {
		return c, nil, unknown
	}
	if c, ok = j.known[sha256Of(whole)]; !ok {
		return c, nil, unknown
	}
	if err := partOf(jar, whole); err != nil {
		return c, nil, fmt.Errorf("%s is not the library that Maven's bill of materials knows, nor a part of it: %w.", printable(name), err)
	}
	c.Hashes = hashes(jar)
	properties := append(slices.Clone(value(c.Properties)), cdx.Property{Name: "harikube:part-of", Value: "sha256:" + sha256Of(whole)})
	c.Properties = &properties
	return c, whole, nil
}

// partOf asks whether everything in a jar is in another one.
func partOf(jar, whole []byte) error {
	part, err := zip.NewReader(bytes.NewReader(jar), int64(len(jar)))
	if err != nil {
		return err
	}
	all, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		return err
	}
	for _, f := range part.File {
		if f.FileInfo().IsDir() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		if other, err := fs.ReadFile(all, f.Name); err != nil || !bytes.Equal(content, other) {
			return fmt.Errorf("%s in it is another", printable(f.Name))
		}
	}
	return nil
}

func value[T any](p *[]T) []T {
	if p == nil {
		return nil
	}
	return *p
}

// The jar that is the server itself; Maven names it in no list of what it depends on.
const serverJar = "harikube-server.jar"

// bill collects what an artifact consists of. Every program, library and jar in it gets a place or makes an error: a bill that
// leaves something out is worse than none.
type bill struct {
	version    string
	java       *javaLibraries
	components map[string]cdx.Component       // by bom-ref
	needs      map[string]map[string]struct{} // of a component, by bom-ref
	top        []string
}

func newBill(version string, java *javaLibraries) *bill {
	return &bill{version: version, java: java, components: map[string]cdx.Component{}, needs: map[string]map[string]struct{}{}}
}

func (b *bill) put(c cdx.Component) string {
	if _, ok := b.components[c.BOMRef]; !ok {
		b.components[c.BOMRef] = c
		b.needs[c.BOMRef] = map[string]struct{}{}
	}
	return c.BOMRef
}

func (b *bill) putTop(c cdx.Component) {
	if _, ok := b.components[c.BOMRef]; !ok {
		b.top = append(b.top, c.BOMRef)
	}
	b.put(c)
}

func sha256Of(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func hashes(content []byte) *[]cdx.Hash {
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sha256Of(content)}}
}

var (
	elf         = []byte("\x7fELF")
	glibcWords  = regexp.MustCompile(`GNU C Library \(([^)]{1,80})\) [a-z]+ release version ([0-9]+(?:\.[0-9]+)+)`)
	javaRelease = regexp.MustCompile(`(?m)^(JAVA_RUNTIME_VERSION|JAVA_VERSION|IMPLEMENTOR)="([^"\n]*)"`)
)

// file takes one regular file of an artifact into account. runtime is the folder of the Java runtime, or nothing.
func (b *bill) file(name string, content []byte, runtime string) error {
	inRuntime := runtime != "" && strings.HasPrefix(name, runtime+"/")
	switch {
	case name == runtime+"/release" && runtime != "":
		return b.runtime(content)
	case inRuntime:
		return nil // a part of the runtime, which is one thing
	case strings.HasSuffix(path.Dir(name), "var/lib/dpkg/status.d"):
		b.debian(content)
	case bytes.HasPrefix(content, elf):
		return b.binary(name, content)
	case path.Ext(name) == ".jar":
		return b.jar(name, content)
	}
	return nil
}

// javaVersion is what a Java runtime's file `release` says.
func javaVersion(release []byte) (version, maker string, err error) {
	field := map[string]string{}
	for _, m := range javaRelease.FindAllSubmatch(release, -1) {
		field[string(m[1])] = string(m[2])
	}
	version = field["JAVA_RUNTIME_VERSION"]
	if version == "" {
		version = field["JAVA_VERSION"]
	}
	if version == "" {
		err = fmt.Errorf("The Java runtime does not say its version.")
	}
	return version, field["IMPLEMENTOR"], err
}

func (b *bill) runtime(release []byte) error {
	version, maker, err := javaVersion(release)
	if err != nil {
		return err
	}
	purl := "pkg:generic/openjdk@" + url.PathEscape(version)
	b.putTop(cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypePlatform, Name: "openjdk", Version: version, PackageURL: purl,
		Publisher: maker, Description: "The Java runtime, linked for the server",
	})
	return nil
}

func (b *bill) jar(name string, content []byte) error {
	if path.Base(name) == serverJar {
		b.putTop(cdx.Component{
			BOMRef: "pkg:maven/io.harikube/harikube-server@" + b.version, Type: cdx.ComponentTypeApplication,
			Group: "io.harikube", Name: "harikube-server", Version: b.version,
			PackageURL: "pkg:maven/io.harikube/harikube-server@" + b.version, Hashes: hashes(content),
		})
		return nil
	}
	c, _, err := b.java.find(name, content)
	if err != nil {
		return err
	}
	b.putTop(c)
	return nil
}

// debian takes a package of Debian into account of which files are in an image: there its description is where scanners look.
func (b *bill) debian(description []byte) {
	field := map[string]string{}
	for line := range strings.Lines(string(description)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			field[key] = strings.TrimSpace(value)
		}
	}
	purl := "pkg:deb/debian/" + url.PathEscape(field["Package"]) + "@" + url.PathEscape(field["Version"]) + "?arch=" +
		url.QueryEscape(field["Architecture"])
	b.putTop(cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: field["Package"], Version: field["Version"], PackageURL: purl,
		Publisher: field["Maintainer"],
	})
}

// binary is a program of Go, which says what it is made of, or a library of C.
func (b *bill) binary(name string, content []byte) error {
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return b.library(name, content)
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = b.version
	}
	program := cdx.Component{
		BOMRef: "program:/" + name, Type: cdx.ComponentTypeApplication, Name: path.Base(name), Version: version, Hashes: hashes(content),
		Properties: &[]cdx.Property{{Name: "go:package", Value: info.Path}, {Name: "go:version", Value: info.GoVersion}},
	}
	b.putTop(program)
	library := func(c cdx.Component) {
		b.needs[program.BOMRef][b.put(c)] = struct{}{}
	}
	library(goModule("std", strings.TrimPrefix(info.GoVersion, "go"), ""))
	for _, m := range info.Deps {
		library(goModuleOf(m))
	}
	return nil
}

func goModuleOf(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	return goModule(m.Path, m.Version, m.Sum)
}

func goModule(name, version, sum string) cdx.Component {
	purl := "pkg:golang/" + strings.ToLower(name) + "@" + url.PathEscape(version)
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: purl}
	if sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	return c
}

func (b *bill) library(name string, content []byte) error {
	c := cdx.Component{
		BOMRef: "file:/" + name, Type: cdx.ComponentTypeFile, Name: path.Base(name), Hashes: hashes(content),
	}
	if words := glibcWords.FindSubmatch(content); words != nil {
		c.Version = string(words[2])
		c.Description = "GNU C Library, " + string(words[1])
	}
	b.putTop(c)
	return nil
}

// write gives the bill of an artifact in CycloneDX's JSON. The same content gives the same bytes: the serial number comes from it.
func (b *bill) write(artifact cdx.Component, timestamp string) ([]byte, error) {
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Timestamp: timestamp,
		Component: &artifact,
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{
			Type: cdx.ComponentTypeApplication, Name: "harikube.io/release/assemble", Version: b.version,
		}}},
	}
	components := make([]cdx.Component, 0, len(b.components))
	dependencies := []cdx.Dependency{{Ref: artifact.BOMRef, Dependencies: sorted(b.top)}}
	for _, c := range b.components {
		components = append(components, c)
	}
	slices.SortFunc(components, func(x, y cdx.Component) int { return strings.Compare(x.BOMRef, y.BOMRef) })
	for _, c := range components {
		var needs []string
		for ref := range b.needs[c.BOMRef] {
			needs = append(needs, ref)
		}
		dependencies = append(dependencies, cdx.Dependency{Ref: c.BOMRef, Dependencies: sorted(needs)})
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	var out bytes.Buffer
	encode := func() error {
		out.Reset()
		return cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom)
	}
	if err := encode(); err != nil {
		return nil, err
	}
	id := sha256.Sum256(out.Bytes())
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562: version 8, of our own making
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
	if err := encode(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func sorted(refs []string) *[]string {
	if len(refs) == 0 {
		return nil
	}
	refs = slices.Clone(refs)
	slices.Sort(refs)
	return &refs
}
