import type { ComponentChildren } from 'preact';

interface TableProps {
  /** The headings; those in `right` stand above figures. The last column is for buttons and has none. */
  columns: string[];
  right: string[];
  children: ComponentChildren;
}

/** A table on a card, which scrolls where it is too wide. */
export function Table({ columns, right, children }: TableProps) {
  return (
    <div class="card table-box">
      <table>
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col" class={right.includes(name) ? 'right' : undefined}>
                {name}
              </th>
            ))}
            <th scope="col">
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
