// Shows openapi.json: every route by subject, what it takes and gives, and a way to try it. Writes text, never markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function resolve(api, schema) {
  const seen = new Set();
  while (schema && schema.$ref && !seen.has(schema.$ref)) {
    seen.add(schema.$ref);
    schema = api.components.schemas[schema.$ref.split("/").pop()];
  }
  return schema || {};
}

// A value of the schema's shape, to start from. Stops at depth 6: schemas may refer to themselves.
function example(api, schema, depth = 0) {
  schema = resolve(api, schema);
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.const !== undefined) return schema.const;
  const choice = schema.anyOf || schema.oneOf;
  if (choice) return example(api, choice.find((one) => one.type !== "null") || choice[0], depth + 1);
  if (depth > 6) return null;
  if (schema.properties) {
    const required = new Set(schema.required || []);
    const whole = depth > 0 || required.size === 0;
    const names = Object.keys(schema.properties).filter((name) => whole || required.has(name));
    return Object.fromEntries(names.map((name) => [name, example(api, schema.properties[name], depth + 1)]));
  }
  if (schema.type === "array") return schema.items ? [example(api, schema.items, depth + 1)] : [];
  return { string: "", integer: 0, number: 0, boolean: false, object: {} }[schema.type] ?? null;
}

function typeName(api, schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const choice = schema.anyOf || schema.oneOf;
  if (choice) return choice.map((one) => typeName(api, one)).join(" | ");
  if (schema.type === "array") return typeName(api, schema.items) + "[]";
  return schema.type || "any";
}

function table(head, rows) {
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
  return element("table", {}, element("tr", {}, ...head.map((cell) => element("th", {}, cell))), ...body);
}

function fields(api, schema) {
  const found = resolve(api, schema);
  if (!found.properties) return element("p", {}, typeName(api, schema));
  const required = new Set(found.required || []);
  const rows = Object.entries(found.properties).map(([name, one]) => [
    element("code", {}, name + (required.has(name) ? " *" : "")), typeName(api, one), one.description || "",
  ]);
  return table(["field", "type", ""], rows);
}

async function run(method, path, inputs, body, output) {
  let address = path;
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(parameter.name, input.value);
  }
  if (query.size) address += "?" + query;
  const headers = {};
  const key = document.getElementById("key").value.trim();
  if (key) headers.authorization = "Bearer " + key;
  if (body) headers["content-type"] = "application/json";
  output.hidden = false;
  output.textContent = "...";
  try {
    const answer = await fetch("." + address, { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    output.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

function details(api, path, method, operation) {
  const inside = element("div");
  if (operation.description) inside.append(element("p", {}, operation.description));
  const scopes = [...new Set((operation.security || []).flatMap((one) => Object.values(one).flat()))];
  if (scopes.length) inside.append(element("p", {}, "Scope: ", element("code", {}, scopes.join(", "))));
  const inputs = (operation.parameters || []).filter((one) => one.in !== "header").map((one) => [one, element("input")]);
  if (inputs.length) {
    inside.append(table(["parameter", "", "type", ""], inputs.map(([one, input]) => [
      element("code", {}, one.name + (one.required ? " *" : "")), input, typeName(api, one.schema), one.description || one.schema?.description || "",
    ])));
  }
  const taken = operation.requestBody?.content?.["application/json"]?.schema;
  const body = taken ? element("textarea", { spellcheck: "false" }) : null;
  if (body) {
    body.value = JSON.stringify(example(api, taken), null, 2);
    inside.append(element("h4", {}, "Takes"), fields(api, taken), body);
  }
  const output = element("pre", { hidden: true });
  const button = element("button", { type: "button" }, "Try");
  button.addEventListener("click", () => run(method, path, inputs, body, output));
  inside.append(element("p", {}, button), output, element("h4", {}, "Gives"));
  for (const [status, answer] of Object.entries(operation.responses)) {
    const schema = answer.content?.["application/json"]?.schema;
    if (status.startsWith("2") && schema) inside.append(element("p", {}, `${status} ${typeName(api, schema)}`), fields(api, schema));
    else inside.append(element("p", {}, `${status} ${answer.description}`));
  }
  return inside;
}

function route(api, path, method, operation) {
  const summary = element("summary", {}, element("span", { class: "method " + method }, method.toUpperCase()),
    element("code", {}, path), " ", element("span", {}, operation.summary || ""));
  const made = element("details", {}, summary);
  made.dataset.words = `${method} ${path} ${operation.summary} ${operation.description}`.toLowerCase();
  made.addEventListener("toggle", () => {
    if (made.open && made.children.length === 1) made.append(details(api, path, method, operation));
  });
  return made;
}

function show(api) {
  document.getElementById("about").textContent = `Version ${api.info.version}. ${api.info.description}`;
  const main = document.getElementById("routes");
  const subjects = document.getElementById("subjects");
  main.replaceChildren();
  for (const tag of api.tags) {
    const section = element("section", { id: tag.name }, element("h2", {}, tag.name), element("p", {}, tag.description));
    for (const [path, operations] of Object.entries(api.paths)) {
      for (const method of METHODS) {
        if (operations[method]?.tags?.includes(tag.name)) section.append(route(api, path, method, operations[method]));
      }
    }
    subjects.append(element("a", { href: "#" + tag.name }, tag.name));
    main.append(section);
  }
  document.getElementById("find").addEventListener("input", (event) => {
    const word = event.target.value.trim().toLowerCase();
    for (const one of main.querySelectorAll("details")) one.hidden = !one.dataset.words.includes(word);
  });
}

fetch("openapi.json").then((answer) => answer.json()).then(show).catch((error) => {
  document.getElementById("routes").textContent = "openapi.json could not be read: " + error;
});
