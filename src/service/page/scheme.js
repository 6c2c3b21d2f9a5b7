// Light or dark as chosen last, before anything is painted: hence no module.
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("scheme");
  } catch {
    // Storage that is forbidden is no choice.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.scheme = chosen;
}
