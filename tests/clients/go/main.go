// A tour of the platform on openwhisk-client-go, the library under the original wsk and wskdeploy: all its services, with
// the requests that those two programs make.
package main

import (
	"fmt"
	"os"

	"github.com/apache/openwhisk-client-go/whisk"
)

func main() {
	client := connect(os.Getenv("TOUR_KEY"))
	for _, part := range []struct {
		name string
		tour func(*whisk.Client)
	}{
		{"platform", platform},
		{"actions", actions},
		{"packages", packages},
		{"triggers and rules", triggersAndRules},
		{"activations", activations},
		{"errors", failures},
		{"HTTPS", overTls},
		{"APIs", apis},
		{"a managed project", project},
		{"wskdeploy", deploying},
		{"leaving", leaving},
	} {
		fmt.Printf("# %s\n", part.name)
		part.tour(client)
	}
}

// connect makes a client as wsk does, from a host and a key.
func connect(key string) *whisk.Client {
	base, err := whisk.GetURLBase(os.Getenv("TOUR_HOST"), "/api")
	must(err)
	client, err := whisk.NewClient(nil, &whisk.Config{
		Host:      os.Getenv("TOUR_HOST"),
		BaseURL:   base,
		AuthToken: key,
		Namespace: "_",
		Version:   "v1",
		UserAgent: "OpenWhisk-CLI/1.0 (tour)",
	})
	must(err)
	return client
}

func text(value string) *string { return &value }

func truth(value bool) *bool { return &value }

func pairs(values ...interface{}) whisk.KeyValueArr {
	list := whisk.KeyValueArr{}
	for i := 0; i < len(values); i += 2 {
		list = append(list, whisk.KeyValue{Key: values[i].(string), Value: values[i+1]})
	}
	return list
}

// leaving deletes whatever is left, package by package.
func leaving(client *whisk.Client) {
	actions, _, err := client.Actions.List("", &whisk.ActionListOptions{Limit: 200})
	must(err)
	for _, action := range actions {
		_, err = client.Actions.Delete(qualified(action))
		must(err)
	}
	packages, _, err := client.Packages.List(&whisk.PackageListOptions{})
	must(err)
	for _, each := range packages {
		_, err = client.Packages.Delete(each.Name)
		must(err)
	}
	actions, _, err = client.Actions.List("", &whisk.ActionListOptions{})
	must(err)
	say("actions left", len(actions))
}
