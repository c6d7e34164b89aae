// Loads the description as the reader, and hands the reader's key and token to Swagger UI.
const place = new URL("openapi.json", location.href).href;
const key = document.getElementById("key");
const token = document.getElementById("token");
const schema = document.getElementById("schema");
const hint = document.getElementById("hint");
const advice = "A publishable key and a token are right here: secret keys are refused from browsers. They stay in this page.";

function credentials() {
  return {
    ...(key.value.trim() && { apikey: key.value.trim() }),
    ...(token.value.trim() && { Authorization: `Bearer ${token.value.trim()}` }),
  };
}

// Managing has a document of its own, which is asked for by the name of its schema.
function asked() {
  return { ...credentials(), ...(schema.value && { "Accept-Profile": schema.value }) };
}

function show() {
  const ui = SwaggerUIBundle({
    url: place,
    domNode: document.getElementById("api").appendChild(document.createElement("div")),
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (request.loadSpec) Object.assign(request.headers, asked());
      return request;
    },
    onComplete: () => {
      if (key.value.trim()) ui.preauthorizeApiKey("apikey", key.value.trim());
      if (token.value.trim()) ui.preauthorizeApiKey("bearer", token.value.trim());
    },
  });
}

async function load() {
  const answer = await fetch(place, { headers: asked() });
  document.getElementById("api").replaceChildren();
  hint.textContent = answer.ok ? advice : `${(await answer.json()).message}. ${advice}`;
  if (answer.ok) show();
}

document.getElementById("access").addEventListener("submit", (event) => {
  event.preventDefault();
  load();
});
schema.addEventListener("change", load);
load();
