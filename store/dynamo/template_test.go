package dynamo

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.yaml.in/yaml/v3"
)

// TestTemplate holds deploy/dynamodb.yaml to what Init makes and to what the services do.
func TestTemplate(t *testing.T) {
	text, err := os.ReadFile("../../deploy/dynamodb.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			DeletionPolicy string `yaml:"DeletionPolicy"`
			Properties     struct {
				BillingMode          string `yaml:"BillingMode"`
				AttributeDefinitions []struct {
					AttributeName string                    `yaml:"AttributeName"`
					AttributeType types.ScalarAttributeType `yaml:"AttributeType"`
				} `yaml:"AttributeDefinitions"`
				KeySchema []struct {
					AttributeName string        `yaml:"AttributeName"`
					KeyType       types.KeyType `yaml:"KeyType"`
				} `yaml:"KeySchema"`
				TimeToLiveSpecification struct {
					AttributeName string `yaml:"AttributeName"`
					Enabled       bool   `yaml:"Enabled"`
				} `yaml:"TimeToLiveSpecification"`
				DeletionProtectionEnabled bool `yaml:"DeletionProtectionEnabled"`
				PolicyDocument            struct {
					Statement []struct {
						Sid       string                         `yaml:"Sid"`
						Action    any                            `yaml:"Action"`
						Condition map[string]map[string][]string `yaml:"Condition"`
					} `yaml:"Statement"`
				} `yaml:"PolicyDocument"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	table := template.Resources["Table"]
	made := &types.TableDescription{}
	for _, k := range table.Properties.KeySchema {
		made.KeySchema = append(made.KeySchema, types.KeySchemaElement{AttributeName: &k.AttributeName, KeyType: k.KeyType})
	}
	for _, a := range table.Properties.AttributeDefinitions {
		made.AttributeDefinitions = append(made.AttributeDefinitions, types.AttributeDefinition{AttributeName: &a.AttributeName, AttributeType: a.AttributeType})
	}
	ttl := table.Properties.TimeToLiveSpecification
	if !sameSchema(made) || table.Properties.BillingMode != string(types.BillingModePayPerRequest) || ttl.AttributeName != expiryAttr || !ttl.Enabled {
		t.Errorf("the table is another than Init's: %+v", table)
	}
	if table.DeletionPolicy != "Retain" || !table.Properties.DeletionProtectionEnabled {
		t.Error("the table goes with the stack")
	}

	// What a policy lets through: the actions, and whether a partition key is among its leading keys.
	allows := func(policy, action, pk string) bool {
		for _, s := range template.Resources[policy].Properties.PolicyDocument.Statement {
			actions, _ := s.Action.([]any)
			if one, ok := s.Action.(string); ok {
				actions = []any{one}
			}
			if !slices.Contains(actions, any("dynamodb:"+action)) {
				continue
			}
			if len(s.Condition) == 0 {
				return true
			}
			for _, c := range s.Condition {
				for _, pattern := range c["dynamodb:LeadingKeys"] {
					before, wild := strings.CutSuffix(pattern, "*")
					if pk == before || wild && strings.HasPrefix(pk, before) {
						return true
					}
				}
			}
		}
		return false
	}
	for _, c := range []struct {
		policy, action, pk string
		want               bool
	}{
		{"DeliveryPolicy", "PutItem", itemPrefix + "accounts/users", true},
		{"DeliveryPolicy", "PutItem", itemPrefix + "fleet", true},
		{"DeliveryPolicy", "GetItem", itemPrefix + "digest#v", true},
		{"DeliveryPolicy", "Query", itemPrefix + "catalog", false},
		{"DeliveryPolicy", "BatchWriteItem", itemPrefix + "fleet", false},
		{"CatalogPolicy", "PutItem", logPrefix + "catalog", true},
		{"CatalogPolicy", "BatchWriteItem", logPrefix + "catalog", true},
		{"CatalogPolicy", "UpdateItem", markPrefix + "catalog", true},
		{"CatalogPolicy", "DeleteTable", "", false},
		{"TrackCachePolicy", "UpdateItem", itemPrefix + "head#x", true},
		{"TrackCachePolicy", "PutItem", itemPrefix + "lease#scan", true},
		{"TrackCachePolicy", "PutItem", itemPrefix + "digest#v", true},
		{"TrackCachePolicy", "PutItem", itemPrefix + "settings", true},
		{"TrackCachePolicy", "GetItem", itemPrefix + "accounts/users", false},
		{"TrackCachePolicy", "Query", logPrefix + "catalog", false},
		{"NginxPolicy", "Query", itemPrefix + "fleet", true},
		{"NginxPolicy", "Query", itemPrefix + "accounts/users", false},
		{"NginxPolicy", "PutItem", itemPrefix + "fleet", false},
	} {
		if got := allows(c.policy, c.action, c.pk); got != c.want {
			t.Errorf("%s allows %s of %q: %v", c.policy, c.action, c.pk, got)
		}
	}
	for policy := range template.Resources {
		if policy != "Table" && !allows(policy, "DescribeTable", "") {
			t.Errorf("%s cannot open the table", policy)
		}
	}
}
