// Making elements. Whatever is said in them is text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element with a class, and with texts or elements in it. */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Make an element of a drawing. */
export function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Put rows of cells into a table; a cell is a text, or a text with a class. */
export function fill(table, rows, nothing) {
  const cells = (row) => row.map((cell) => {
    const [text, className] = Array.isArray(cell) ? cell : [cell, ""];
    return element("td", className, text);
  });
  const made = rows.map((row) => element("tr", "", ...cells(row)));
  if (!made.length) made.push(element("tr", "", element("td", "note", nothing)));
  table.tBodies[0].replaceChildren(...made);
}
