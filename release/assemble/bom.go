package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// javaLibraries are the jars that the server is made of, by SHA-256, as Maven knows them.
type javaLibraries map[string]cdx.Component

// readJavaLibraries reads the bill of materials that CycloneDX's plugin for Maven wrote.
func readJavaLibraries(content []byte) (javaLibraries, error) {
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(content), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		return nil, fmt.Errorf("Maven's bill of materials of the server cannot be read: %w", err)
	}
	libraries := javaLibraries{}
	if bom.Components != nil {
		for _, c := range *bom.Components {
			for _, hash := range value(c.Hashes) {
				if hash.Algorithm == cdx.HashAlgoSHA256 {
					libraries[hash.Value] = c
				}
			}
		}
	}
	if len(libraries) == 0 {
		return nil, fmt.Errorf("Maven's bill of materials of the server names no library.")
	}
	return libraries, nil
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
	java       javaLibraries
	components map[string]cdx.Component       // by bom-ref
	needs      map[string]map[string]struct{} // of a component, by bom-ref
	top        []string
}

func newBill(version string, java javaLibraries) *bill {
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

func hashes(content []byte) *[]cdx.Hash {
	sum := sha256.Sum256(content)
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
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
	case bytes.HasPrefix(content, elf):
		return b.binary(name, content)
	case path.Ext(name) == ".jar":
		return b.jar(name, content)
	}
	return nil
}

func (b *bill) runtime(release []byte) error {
	field := map[string]string{}
	for _, m := range javaRelease.FindAllSubmatch(release, -1) {
		field[string(m[1])] = string(m[2])
	}
	version := field["JAVA_RUNTIME_VERSION"]
	if version == "" {
		version = field["JAVA_VERSION"]
	}
	if version == "" {
		return fmt.Errorf("The Java runtime does not say its version.")
	}
	purl := "pkg:generic/openjdk@" + url.PathEscape(version)
	b.putTop(cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypePlatform, Name: "openjdk", Version: version, PackageURL: purl,
		Publisher: field["IMPLEMENTOR"], Description: "The Java runtime, linked for the server",
	})
	return nil
}

func (b *bill) jar(name string, content []byte) error {
	sum := sha256.Sum256(content)
	if path.Base(name) == serverJar {
		b.putTop(cdx.Component{
			BOMRef: "pkg:maven/io.harikube/harikube-server@" + b.version, Type: cdx.ComponentTypeApplication,
			Group: "io.harikube", Name: "harikube-server", Version: b.version,
			PackageURL: "pkg:maven/io.harikube/harikube-server@" + b.version, Hashes: hashes(content),
		})
		return nil
	}
	c, ok := b.java[hex.EncodeToString(sum[:])]
	if !ok {
		return fmt.Errorf("%s is a library that Maven's bill of materials does not know.", printable(name))
	}
	b.putTop(c)
	return nil
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
