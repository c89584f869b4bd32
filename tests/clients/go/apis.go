package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"

	"github.com/apache/openwhisk-client-go/whisk"
)

// asked are the options that wsk gives to every operation on APIs.
func asked(base, path, verb, response string) whisk.ApiOptions {
	return whisk.ApiOptions{
		ApiBasePath: base, ApiRelPath: path, ApiVerb: verb, ResponseType: response,
		SpaceGuid: strings.Split(os.Getenv("TOUR_KEY"), ":")[0], AccessToken: "DUMMY TOKEN",
	}
}

// expose creates a path as `wsk api create` and wskdeploy do, with the scheme that the latter puts before any host.
func expose(client *whisk.Client, path, verb, response string) *whisk.ApiCreateResponse {
	api := &whisk.Api{
		Namespace: "_", ApiName: "Library", GatewayBasePath: "/library", GatewayRelPath: path, GatewayMethod: verb, Id: "API:_:/library",
		Action: &whisk.ApiAction{
			Name: "shelf", Namespace: "_", BackendMethod: verb, Auth: client.AuthToken, SecureKey: "sesame",
			BackendUrl: "https://" + client.Host + "/api/v1/web/_/default/shelf." + response,
		},
	}
	if strings.Contains(path, "{") {
		api.PathParameters = []whisk.ApiParameter{{Name: "isbn", In: "path", Required: true, Type: "string", Description: "Default description for 'isbn'"}}
	}
	options := whisk.ApiCreateRequestOptions(asked("", "", "", response))
	made, _, err := client.Apis.Insert(&whisk.ApiCreateRequest{ApiDoc: api}, &options, whisk.DoNotOverwrite)
	must(err)
	return made
}

// get asks as anybody would.
func get(method, url string) string {
	request, err := http.NewRequest(method, url, nil)
	must(err)
	answer, err := http.DefaultClient.Do(request)
	must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(err)
	return fmt.Sprint(answer.StatusCode, " ", strings.Join(strings.Fields(string(body)), " "))
}

// exposed lists the paths of an API, with their verbs.
func exposed(value *whisk.RetApi) []string {
	paths := []string{}
	for path, operations := range value.Swagger.Paths {
		for verb, operation := range operations.MakeOperationMap() {
			paths = append(paths, fmt.Sprintf("%s %s %s", verb, path, operation.OperationId))
		}
	}
	sort.Strings(paths)
	return paths
}

func apis(client *whisk.Client) {
	code := "function main({ __ow_method: method, __ow_path: path }) { return { body: { method, path } } }"
	_, _, err := client.Actions.Insert(&whisk.Action{Name: "shelf", Exec: &whisk.Exec{Kind: "nodejs:default", Code: text(code)}, Annotations: pairs("web-export", true, "require-whisk-auth", "sesame")}, false)
	must(err)
	made := expose(client, "/books", "get", "http")
	say("create", exposed((*whisk.RetApi)(made)))
	expose(client, "/books/{isbn}", "post", "http")
	expose(client, "/raw", "get", "json")
	say("call", get("GET", made.BaseUrl+"/books"))
	say("call with a parameter", get("POST", made.BaseUrl+"/books/1"))
	say("call for JSON", get("GET", made.BaseUrl+"/raw"))

	list, _, err := client.Apis.List(&whisk.ApiListRequestOptions{ApiOptions: asked("", "", "", ""), Limit: 30})
	must(err)
	say("list", exposed(list.Apis[0].ApiValue))
	options := whisk.ApiGetRequestOptions(asked("Library", "", "", ""))
	got, _, err := client.Apis.Get(&whisk.ApiGetRequest{}, &options)
	must(err)
	say("get by name", exposed(got.Apis[0].ApiValue))
	remove := whisk.ApiDeleteRequestOptions(asked("/library", "/raw", "GET", ""))
	_, err = client.Apis.Delete(&whisk.ApiDeleteRequest{}, &remove)
	must(err)
	remove = whisk.ApiDeleteRequestOptions(asked("/library", "/raw", "GET", ""))
	_, err = client.Apis.Delete(&whisk.ApiDeleteRequest{}, &remove)
	say("delete it again", ended(err))
	remove = whisk.ApiDeleteRequestOptions(asked("Library", "", "", ""))
	_, err = client.Apis.Delete(&whisk.ApiDeleteRequest{}, &remove)
	must(err)
	_, err = client.Apis.Delete(&whisk.ApiDeleteRequest{}, &remove)
	say("delete all of it again", ended(err))
	list, _, err = client.Apis.List(&whisk.ApiListRequestOptions{ApiOptions: asked("", "", "", ""), Limit: 30})
	must(err)
	say("list", len(list.Apis))

	swagger := whisk.ApiCreateRequestOptions(asked("", "", "", ""))
	_, _, err = client.Apis.Insert(&whisk.ApiCreateRequest{ApiDoc: &whisk.Api{Namespace: "_", Swagger: "{"}}, &swagger, whisk.DoNotOverwrite)
	say("a bad document", ended(err))
	stranger := connect("00000000-0000-0000-0000-000000000000:wrong")
	_, _, err = stranger.Apis.List(&whisk.ApiListRequestOptions{ApiOptions: asked("", "", "", "")})
	say("wrong key", ended(err))
}
