// The Spending tab: how much of the limit is used, and dollars by day as bars.
// @ts-check
import { get } from "./api.js";
import { $, dollars, state } from "./dom.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 220, BOTTOM = 24, TOP = 20;

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
function shape(tag, attributes, text = "") {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.textContent = text;
  return made;
}

async function showSpending() {
  const { days, limit } = await get("/api/cloud/spending?days=30");
  const spent = `${dollars(limit.finished_spend)} spent, ${dollars(limit.reserved)} reserved for jobs under way`;
  const words = limit.enabled ? `${spent}: ${limit.percent_used} % of the ${limit.period} ${dollars(limit.limit_amount)}` : `${spent}; no limit is set`;
  state("meter-words", limit.message ? `${words}. ${limit.message}.` : words, limit.is_exceeded ? "bad" : "");
  $("meter").value = Math.min(limit.percent_used, 100);
  $("meter").hidden = !limit.enabled;
  draw(days);
}

/** @param {{date: string, cost: number}[]} days */
function draw(days) {
  const most = Math.max(...days.map((day) => day.cost));
  const chart = $("chart");
  const wide = chart.clientWidth || 900;
  const step = wide / days.length, room = HEIGHT - BOTTOM - TOP;
  chart.setAttribute("viewBox", `0 0 ${wide} ${HEIGHT}`);
  chart.replaceChildren(shape("line", { x1: 0, x2: wide, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
  days.forEach((day, index) => {
    const height = most ? (room * day.cost) / most : 0;
    const bar = shape("rect", { x: index * step + 2, y: HEIGHT - BOTTOM - height, width: step - 4, height, rx: 2 });
    bar.append(shape("title", {}, `${day.date}: ${dollars(day.cost)}`));
    chart.append(bar);
  });
  for (const [index, anchor] of /** @type {[number, string][]} */ ([[0, "start"], [days.length - 1, "end"]])) {
    const x = index ? wide : 0;
    chart.append(shape("text", { x, y: HEIGHT - 6, "text-anchor": anchor }, days[index].date));
  }
  if (most) chart.append(shape("text", { x: 0, y: 12 }, dollars(most)));
  const total = days.reduce((sum, day) => sum + day.cost, 0);
  $("chart-words").textContent = `${dollars(total)} in 30 days; at most ${dollars(most)} on one day.`;
}

/** @type {import("./main.js").Tab} */
export const spending = { name: "spending", title: "Spending", live: true, start: () => {}, show: showSpending };
