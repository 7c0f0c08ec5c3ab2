package main

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"fmt"
	"math/rand"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

// definitionLine is a CustomResourceDefinition in its forms; the lines behind it are its objects.
type definitionLine struct {
	Name string `json:"name"`
	// Definition is what a user writes, Stored what the API server stores, Protobuf the same in protobuf.
	Definition string `json:"definition"`
	Stored     string `json:"stored"`
	Protobuf   string `json:"protobuf"`
}

// customLine is a custom object, and its fields for whoever asks for it in one of the versions.
type customLine struct {
	JSON   string              `json:"json"`
	Fields []map[string]string `json:"fields"`
}

var leaves = []string{"color", "size", "on", "a-b", "x_y"}

// custom hands out definitions at random, each followed by objects.
func custom(line func(any)) {
	r := rand.New(rand.NewSource(3))
	for i := range 16 {
		definition := randomDefinition(r, i)
		line(describeDefinition(definition))
		for range 6 {
			line(customObject(r, definition))
		}
	}
}

func randomDefinition(r *rand.Rand, i int) *apiextensionsv1.CustomResourceDefinition {
	group, plural := "example.com", fmt.Sprintf("widgets%d", i)
	definition := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Kind: "Widget", ListKind: "WidgetList", Singular: "widget"},
			Scope: []apiextensionsv1.ResourceScope{apiextensionsv1.NamespaceScoped, apiextensionsv1.ClusterScoped}[r.Intn(2)],
			Conversion: &apiextensionsv1.CustomResourceConversion{
				Strategy: apiextensionsv1.NoneConverter,
			},
		},
	}
	if r.Intn(3) == 0 {
		url := "https://localhost/"
		definition.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{
			Strategy: apiextensionsv1.WebhookConverter,
			Webhook: &apiextensionsv1.WebhookConversion{
				ClientConfig:             &apiextensionsv1.WebhookClientConfig{URL: &url},
				ConversionReviewVersions: []string{"v1"},
			},
		}
	}
	if i%5 == 4 {
		definition.DeletionTimestamp = &metav1.Time{Time: time.Unix(1_700_000_000, 0)}
	}
	version := randomVersion(r)
	for at, name := range []string{"v1", "v2"}[:1+r.Intn(2)] {
		if at > 0 && r.Intn(2) == 0 {
			version = randomVersion(r)
		}
		version.Name, version.Storage, version.Served = name, at == 0, (i+at)%3 > 0
		definition.Spec.Versions = append(definition.Spec.Versions, version)
	}
	return definition
}

func randomVersion(r *rand.Rand) apiextensionsv1.CustomResourceDefinitionVersion {
	version := apiextensionsv1.CustomResourceDefinitionVersion{}
	object := func() apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
	}
	add := func(to apiextensionsv1.JSONSchemaProps, path string) {
		for _, name := range leaves {
			if r.Intn(2) == 0 {
				continue
			}
			to.Properties[name] = leafSchema(r)
			if r.Intn(3) > 0 {
				version.SelectableFields = append(version.SelectableFields, apiextensionsv1.SelectableField{JSONPath: path + "." + name})
			}
		}
	}
	root, spec, inner := object(), object(), object()
	add(root, "")
	add(spec, ".spec")
	add(inner, ".spec.inner")
	if r.Intn(4) == 0 {
		inner.Default = &apiextensionsv1.JSON{Raw: []byte(`{}`)}
	}
	spec.Properties["inner"] = inner
	if r.Intn(2) == 0 {
		of := leafSchema(r)
		spec.Properties["map"] = apiextensionsv1.JSONSchemaProps{Type: "object",
			AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &of}}
		version.SelectableFields = append(version.SelectableFields, apiextensionsv1.SelectableField{JSONPath: ".spec.map.color"})
	}
	if r.Intn(6) == 0 {
		spec.Default = &apiextensionsv1.JSON{Raw: []byte(`{}`)}
	}
	root.Properties["spec"] = spec
	version.Schema = &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &root}
	return version
}

func leafSchema(r *rand.Rand) apiextensionsv1.JSONSchemaProps {
	kind := r.Intn(3)
	leaf := apiextensionsv1.JSONSchemaProps{Type: []string{"string", "boolean", "integer"}[kind], Nullable: r.Intn(4) == 0}
	if r.Intn(4) == 0 {
		leaf.Default = &apiextensionsv1.JSON{Raw: []byte([]string{`"d"`, `true`, `7`}[kind])}
	}
	return leaf
}

func describeDefinition(definition *apiextensionsv1.CustomResourceDefinition) definitionLine {
	scheme := apiserver.Scheme
	asJSON := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{})
	internal, err := scheme.ConvertToVersion(definition, apiextensions.SchemeGroupVersion)
	if err != nil {
		panic(err)
	}
	text := func(codec runtime.Encoder) []byte {
		var out bytes.Buffer
		if err := codec.Encode(internal, &out); err != nil {
			panic(err)
		}
		return out.Bytes()
	}
	users := apiserver.Codecs.EncoderForVersion(asJSON, apiextensionsv1.SchemeGroupVersion)
	// As the API server is set up to store definitions.
	stored := apiserver.Codecs.LegacyCodec(v1beta1.SchemeGroupVersion, apiextensionsv1.SchemeGroupVersion)
	packed := apiserver.Codecs.EncoderForVersion(protobuf.NewSerializer(scheme, scheme), v1beta1.SchemeGroupVersion)
	return definitionLine{
		Name:       definition.Name,
		Definition: string(text(users)),
		Stored:     string(text(stored)),
		Protobuf:   base64.StdEncoding.EncodeToString(text(packed)),
	}
}

func customObject(r *rand.Rand, definition *apiextensionsv1.CustomResourceDefinition) customLine {
	versions := definition.Spec.Versions
	at := r.Intn(len(versions))
	version := versions[at]
	object := map[string]any{
		"apiVersion": definition.Spec.Group + "/" + version.Name,
		"kind":       definition.Spec.Names.Kind,
		"metadata":   map[string]any{"name": "a", "uid": "u", "generation": 1, "labels": map[string]any{"a": "b"}},
	}
	fillObject(r, object, *version.Schema.OpenAPIV3Schema)
	if definition.Spec.Scope == apiextensionsv1.NamespaceScoped {
		object["metadata"].(map[string]any)["namespace"] = "default"
	}
	text, err := stdjson.Marshal(object)
	if err != nil {
		panic(err)
	}
	answer := customLine{JSON: string(text)}
	for i := range versions {
		if i == at || definition.Spec.Conversion.Strategy == apiextensionsv1.NoneConverter {
			answer.Fields = append(answer.Fields, customFields(definition, text, version, versions[i]))
		}
	}
	return answer
}

// fillObject adds members at random: most as the schema has them.
func fillObject(r *rand.Rand, object map[string]any, schema apiextensionsv1.JSONSchemaProps) {
	for _, name := range append([]string{"spec", "inner", "map"}, leaves...) {
		property, known := schema.Properties[name]
		if !known || r.Intn(4) == 0 {
			if r.Intn(12) == 0 {
				object[name] = "unknown"
			}
			continue
		}
		switch {
		case r.Intn(10) == 0:
			object[name] = nil
		case property.AdditionalProperties != nil:
			inner := map[string]any{}
			if r.Intn(3) > 0 {
				inner["color"] = leafValue(r, *property.AdditionalProperties.Schema)
			}
			object[name] = inner
		case property.Type == "object":
			inner := map[string]any{}
			fillObject(r, inner, property)
			object[name] = inner
		default:
			object[name] = leafValue(r, property)
		}
	}
}

func leafValue(r *rand.Rand, leaf apiextensionsv1.JSONSchemaProps) any {
	switch leaf.Type {
	case "string":
		return pick(r, []string{"", "red", "a,b=c\\", "ä\U0001F600", "1", "true", "\"<"})
	case "boolean":
		return r.Intn(2) == 0
	default:
		return stdjson.Number(pick(r, []string{"0", "1", "-1", "9223372036854775807", "-9223372036854775808", "1.0", "1e3", "-0", "2147483648"}))
	}
}

// customFields is what the API server finds in an object that is stored in one version and asked for in
// another, with no conversion but the name of the version: the steps of its codec, and its strategy.
func customFields(definition *apiextensionsv1.CustomResourceDefinition, text []byte, stored, asked apiextensionsv1.CustomResourceDefinitionVersion) map[string]string {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		panic(err)
	}
	structure := func(version apiextensionsv1.CustomResourceDefinitionVersion) *structuralschema.Structural {
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &props, nil); err != nil {
			panic(err)
		}
		s, err := structuralschema.NewStructural(&props)
		if err != nil {
			panic(err)
		}
		return s
	}
	coerce := func(s *structuralschema.Structural) {
		pruning.Prune(object.Object, s, true)
		defaulting.PruneNonNullableNullsWithoutDefaults(object.Object, s)
	}
	coerce(structure(stored))
	object.SetAPIVersion(definition.Spec.Group + "/" + asked.Name)
	coerce(structure(asked))
	defaulting.Default(object.Object, structure(asked))
	kind := schema.GroupVersionKind{Group: definition.Spec.Group, Version: asked.Name, Kind: definition.Spec.Names.Kind}
	strategy := customresource.NewStrategy(apiserver.Scheme, definition.Spec.Scope == apiextensionsv1.NamespaceScoped, kind, nil, nil, nil, nil, nil, asked.SelectableFields)
	_, fields, err := strategy.GetAttrs(object)
	if err != nil {
		panic(err)
	}
	return fields
}
