// Loads the OpenAPI document with the key and the token of the form, and passes them to Swagger UI.
const documentUrl = new URL("openapi.json", location.href).href;
const key = document.getElementById("key");
const token = document.getElementById("token");
const schema = document.getElementById("schema");
const hint = document.getElementById("hint");
const advice = "Use a publishable key and a token: browsers cannot use secret keys. Both stay in this page.";

function credentials() {
  return {
    ...(key.value.trim() && { apikey: key.value.trim() }),
    ...(token.value.trim() && { Authorization: `Bearer ${token.value.trim()}` }),
  };
}

// pgmq_api and pgmq_admin have documents of their own, selected by Accept-Profile.
function requestHeaders() {
  return { ...credentials(), ...(schema.value && { "Accept-Profile": schema.value }) };
}

function show() {
  const ui = SwaggerUIBundle({
    url: documentUrl,
    domNode: document.getElementById("api").appendChild(document.createElement("div")),
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (request.loadSpec) Object.assign(request.headers, requestHeaders());
      return request;
    },
    onComplete: () => {
      if (key.value.trim()) ui.preauthorizeApiKey("apikey", key.value.trim());
      if (token.value.trim()) ui.preauthorizeApiKey("bearer", token.value.trim());
    },
  });
}

async function load() {
  const response = await fetch(documentUrl, { headers: requestHeaders() });
  document.getElementById("api").replaceChildren();
  hint.textContent = response.ok ? advice : `${(await response.json()).message}. ${advice}`;
  if (response.ok) show();
}

document.getElementById("access").addEventListener("submit", (event) => {
  event.preventDefault();
  load();
});
schema.addEventListener("change", load);
load();
