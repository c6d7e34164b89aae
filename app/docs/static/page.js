// Loads the description as the reader, and hands the reader's key and token to Swagger UI.
const place = new URL("openapi.json", location.href).href;
const key = document.getElementById("key");
const token = document.getElementById("token");
const hint = document.getElementById("hint");
const advice = "A publishable key and a token are right here: secret keys are refused from browsers. They stay in this page.";

function credentials() {
  return {
    ...(key.value.trim() && { apikey: key.value.trim() }),
    ...(token.value.trim() && { Authorization: `Bearer ${token.value.trim()}` }),
  };
}

function show() {
  const ui = SwaggerUIBundle({
    url: place,
    dom_id: "#api",
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (request.loadSpec) Object.assign(request.headers, credentials());
      return request;
    },
    onComplete: () => {
      if (key.value.trim()) ui.preauthorizeApiKey("apikey", key.value.trim());
      if (token.value.trim()) ui.preauthorizeApiKey("bearer", token.value.trim());
    },
  });
}

async function load() {
  const answer = await fetch(place, { headers: credentials() });
  hint.textContent = answer.ok ? advice : `${(await answer.json()).message}. ${advice}`;
  if (answer.ok) show();
}

document.getElementById("access").addEventListener("submit", (event) => {
  event.preventDefault();
  load();
});
load();
