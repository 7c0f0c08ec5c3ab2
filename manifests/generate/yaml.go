package main

import (
	"bytes"
	"cmp"
	"math"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// first are the keys that a reader looks for first; the others follow by the alphabet.
var first = []string{"apiVersion", "kind", "metadata", "name", "namespace", "image", "imagePullPolicy", "command", "args", "env", "type"}

// toYAML returns the objects as YAML, in one order for the same objects.
func toYAML(objects []object) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	for _, o := range objects {
		node, err := nodeOf(map[string]any(o))
		if err != nil {
			return nil, err
		}
		if err := encoder.Encode(node); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), encoder.Close()
}

func nodeOf(value any) (*yaml.Node, error) {
	switch value := value.(type) {
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, b string) int { return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b)) })
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range keys {
			inner, err := nodeOf(value[key])
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, textOf(key), inner)
		}
		return node, nil
	case []any:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		for _, element := range value {
			inner, err := nodeOf(element)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, inner)
		}
		return node, nil
	case string:
		return textOf(value), nil
	case float64: // as JSON has all numbers
		if value == math.Trunc(value) {
			return nodeOf(int64(value))
		}
	}
	node := &yaml.Node{}
	return node, node.Encode(value)
}

// ambiguous is what some readers of YAML take for something else than text; the encoder knows of the others.
var ambiguous = regexp.MustCompile(`(?i)^([-+0-9._:]+|y|n|yes|no|on|off)$`)

func textOf(text string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(text)
	if ambiguous.MatchString(text) {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}

func rank(key string) int {
	if i := slices.Index(first, key); i >= 0 {
		return i
	}
	return len(first)
}
