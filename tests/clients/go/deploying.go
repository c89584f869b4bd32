package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/apache/openwhisk-client-go/whisk"
)

// tokenless are the options that wskdeploy gives when no token for the gateway is configured.
func tokenless(base string) whisk.ApiOptions {
	return whisk.ApiOptions{ApiBasePath: base, SpaceGuid: strings.Split(os.Getenv("TOUR_KEY"), ":")[0]}
}

// exists asks for an API as wskdeploy does before it deletes one.
func exists(client *whisk.Client, base string) bool {
	options := whisk.ApiGetRequestOptions(tokenless(base))
	got, _, err := client.Apis.Get(&whisk.ApiGetRequest{}, &options)
	must(err)
	return len(got.Apis) > 0 && got.Apis[0].ApiValue != nil
}

// described deploys an API from a file that describes it, calls it, and takes it away by its base path.
func described(client *whisk.Client) {
	_, _, err := client.Actions.Insert(&whisk.Action{Name: "page", Namespace: "_", Publish: truth(false), Annotations: pairs("web-export", true, "raw-http", false, "final", true), Exec: &whisk.Exec{Kind: "nodejs:20", Code: text("function main({ n }) { return { body: { n } } }")}}, true)
	must(err)
	target := os.Getenv("TOUR_HOST") + "/api/v1/web/guest/default/page.http"
	document, err := json.Marshal(map[string]interface{}{
		"swagger": "2.0", "basePath": "/pages", "info": map[string]interface{}{"title": "pages", "version": "1.0"},
		"paths": map[string]interface{}{"/one": map[string]interface{}{"get": map[string]interface{}{
			"operationId": "getOne", "responses": map[string]interface{}{"default": map[string]interface{}{"description": "Default response"}},
			"x-openwhisk": map[string]interface{}{"namespace": "guest", "action": "page", "package": "default", "url": target},
		}}},
		"x-ibm-configuration": map[string]interface{}{
			"assembly": map[string]interface{}{"execute": []interface{}{map[string]interface{}{"operation-switch": map[string]interface{}{"case": []interface{}{map[string]interface{}{
				"operations": []string{"getOne"},
				"execute":    []interface{}{map[string]interface{}{"invoke": map[string]interface{}{"target-url": target, "verb": "keep"}}},
			}}}}}},
			"cors": map[string]interface{}{"enabled": true},
		},
	})
	must(err)
	options := whisk.ApiCreateRequestOptions(tokenless(""))
	for _, again := range []bool{false, true} {
		made, _, err := client.Apis.Insert(&whisk.ApiCreateRequest{ApiDoc: &whisk.Api{Namespace: "_", Swagger: string(document)}}, &options, true)
		must(err)
		say(fmt.Sprint("an API from a file, again ", again), exposed((*whisk.RetApi)(made)))
		say("call it", get("GET", made.BaseUrl+"/one?n=1"))
	}
	say("it is there", exists(client, "/pages"))
	remove := whisk.ApiDeleteRequestOptions(tokenless("/pages"))
	_, err = client.Apis.Delete(&whisk.ApiDeleteRequest{Api: whisk.Api{Swagger: string(document)}}, &remove)
	must(err)
	say("it is there still", exists(client, "/pages"))
}

// feeding makes one call of a feed's life cycle.
func feeding(client *whisk.Client, feed, event, trigger string, parameters map[string]interface{}) error {
	payload := map[string]interface{}{"authKey": client.AuthToken, "lifecycleEvent": event, "triggerName": "/_/" + trigger}
	for name, value := range parameters {
		payload[name] = value
	}
	_, _, err := client.Actions.Invoke(feed, payload, true, false)
	return err
}

// fed deploys a trigger with a feed: what is there is deleted at the feed first, and a trigger whose feed fails goes away.
func fed(client *whisk.Client, feed string) error {
	if _, answer, _ := client.Triggers.Get("tick"); answer.StatusCode == 200 {
		// Whether the feed could is not looked at.
		_ = feeding(client, feed, "DELETE", "tick", nil)
	}
	_, _, err := client.Triggers.Insert(&whisk.Trigger{Name: "tick", Annotations: pairs("feed", "/_/"+feed), Publish: truth(true)}, true)
	must(err)
	err = feeding(client, feed, "CREATE", "tick", map[string]interface{}{"cron": "* * * * *", "trigger_payload": map[string]interface{}{"a": 1}})
	if err != nil {
		_, _, failed := client.Triggers.Delete("tick")
		must(failed)
	}
	return err
}

func feeds(client *whisk.Client) {
	code := "function main({ lifecycleEvent, triggerName, cron, authKey }) { console.log(lifecycleEvent, triggerName, cron); return authKey ? {} : { error: 'no key' } }"
	_, _, err := client.Actions.Insert(&whisk.Action{Name: "source", Exec: &whisk.Exec{Kind: "nodejs:default", Code: text(code)}, Annotations: pairs("feed", true)}, true)
	must(err)
	must(fed(client, "source"))
	_, _, err = client.Rules.Insert(&whisk.Rule{Name: "on-tick", Publish: truth(false), Trigger: "/_/tick", Action: "/_/source"}, true)
	must(err)
	must(fed(client, "source"))
	_, _, err = client.Rules.SetState("on-tick", "active")
	must(err)
	rule, _, err := client.Rules.Get("on-tick")
	must(err)
	say("the rule of a trigger that was made anew", rule.Status)
	got, _, err := client.Triggers.Get("tick")
	must(err)
	say("the trigger", fmt.Sprintf("%v %t %d %d", got.Annotations.GetValue("feed"), *got.Publish, len(got.Parameters), len(got.Rules)))
	_, err = client.Rules.Delete("on-tick")
	must(err)
	say("a feed that fails", ended(fed(client, "says")))
	_, answer, _ := client.Triggers.Get("tick")
	say("its trigger", answer.StatusCode)
}

// exporting reads what `wskdeploy export` reads through pointers: without it that program would fall over.
func exporting(client *whisk.Client) {
	deploy(client, "3333333333333333333333333333333333333333", []string{"first", "second"}, []string{"run"})
	list, _, err := client.Packages.List(&whisk.PackageListOptions{})
	must(err)
	for _, each := range list {
		if each.Annotations.GetValue("binding") != nil {
			say("a binding in a list", fmt.Sprintf("%s %+v", each.Name, *each.Binding))
		}
	}
	action, _, err := client.Actions.Get("demo/first", true)
	must(err)
	say("code to save", fmt.Sprintf("%s %t %t", action.Exec.Kind, *action.Exec.Binary, len(*action.Exec.Code) > 0))
	sequence, _, err := client.Actions.Get("demo/all", true)
	must(err)
	say("a sequence to save", sequence.Exec.Components)
	rule, _, err := client.Rules.Get("run")
	must(err)
	say("a rule to save", fmt.Sprintf("%s %v %v", rule.Namespace, rule.Trigger, rule.Action))
	sweep(client, "none")
}

func deploying(client *whisk.Client) {
	described(client)
	feeds(client)
	exporting(client)
}
